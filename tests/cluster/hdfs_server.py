"""The HDFS that the tests use: a NameNode and a DataNode on loopback, each a JVM of its own. Used by the tests.

Hadoop's servers are in one jar of Maven Central that completes the client jars of PySpark. It is kept where Maven keeps
its own; tests that need it are skipped where it can neither be found nor fetched.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import pyspark

CENTRAL = "https://repo1.maven.org/maven2"
LOCAL_REPOSITORY = Path.home() / ".m2" / "repository"
ARTIFACT = "hadoop-client-minicluster"
SHA256 = {"3.4.2": "ae2406c544825b7734b8aad4f87eff60d9ec422284f0b16c2856032083b63c77"}
"""By the version of the client jars that PySpark brings."""

_CLIENT_JARS = Path(pyspark.__file__).parent / "jars"

HOST = "127.0.0.1"
SECONDS_TO_START = 90
SECONDS_TO_END = 10
# Servers that live for a minute: to verify and to compile thoroughly would cost them more than it brings.
_JAVA_OPTIONS = (
    "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote", "-Djava.net.preferIPv4Stack=true",
)  # fmt: skip
_NEEDED = ("hadoop-client-api", "hadoop-client-runtime", "slf4j-api", "jcl-over-slf4j", "log4j")
_NAME_NODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATA_NODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_STATE = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"


@dataclass(frozen=True)
class HdfsServer:
    """A running HDFS, whose superuser is the user who runs the tests.

    Attributes:
        url: Its root.
    """

    url: str

    def new_folder(self) -> str:
        """Names a folder that is not there yet."""
        return f"{self.url}/{uuid.uuid4().hex}"


@contextmanager
def hdfs_server(folder: Path) -> Iterator[HdfsServer]:
    """Starts both servers, which keep everything in a folder, and ends them."""
    classes = _class_path(folder / "conf")
    rpc, web, *data = _free_ports(5)
    _configure(folder, rpc, web, data)
    with ExitStack() as running:
        # The DataNode waits for the NameNode, so that all may start at once.
        data_node = running.enter_context(_java(folder, "datanode", classes, _DATA_NODE))
        with _java(folder, "format", classes, _NAME_NODE, "-format", "-nonInteractive") as formatting:
            formatting.wait(SECONDS_TO_START)
        name_node = running.enter_context(_java(folder, "namenode", classes, _NAME_NODE))
        _wait_until_up(folder, web, name_node, data_node)
        yield HdfsServer(f"hdfs://{HOST}:{rpc}")


def server_jar() -> Path:
    """Finds the jar that holds Hadoop's servers, or fetches it.

    Raises:
        OSError: It cannot be fetched.
    """
    (client,) = _CLIENT_JARS.glob("hadoop-client-api-*.jar")
    version = client.stem.rpartition("-")[2]
    name = f"org/apache/hadoop/{ARTIFACT}/{version}/{ARTIFACT}-{version}.jar"
    jar = LOCAL_REPOSITORY / name
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        partial = jar.with_name(f".{jar.name}.{uuid.uuid4().hex}")
        try:
            with urllib.request.urlopen(f"{CENTRAL}/{name}", timeout=60) as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
            _check(partial, version)
            partial.replace(jar)
        finally:
            partial.unlink(missing_ok=True)
    _check(jar, version)
    return jar


def _check(jar: Path, version: str) -> None:
    with jar.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256[version]:
        raise ValueError(f"{jar} has the SHA-256 {found}, not that of {ARTIFACT} {version}")


def _class_path(configuration: Path) -> str:
    clients = [str(jar) for kind in _NEEDED for jar in sorted(_CLIENT_JARS.glob(f"{kind}-*.jar"))]
    return os.pathsep.join([str(configuration), str(server_jar()), *clients])


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def _configure(folder: Path, rpc: int, web: int, data: list[int]) -> None:
    transfer, data_web, data_rpc = data
    settings = {
        "fs.defaultFS": f"hdfs://{HOST}:{rpc}",
        "hadoop.tmp.dir": folder / "tmp",
        # The DataNode is up before the NameNode, and asks again soon.
        "ipc.client.connect.retry.interval": "100",
        "ipc.client.connect.max.retries": "1000",
        "dfs.namenode.name.dir": f"file://{folder}/name",
        "dfs.namenode.rpc-address": f"{HOST}:{rpc}",
        "dfs.namenode.http-address": f"{HOST}:{web}",
        # The address has no name to look up.
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": "0",
        "dfs.datanode.data.dir": f"file://{folder}/data",
        "dfs.datanode.hostname": HOST,
        "dfs.datanode.address": f"{HOST}:{transfer}",
        "dfs.datanode.http.address": f"{HOST}:{data_web}",
        "dfs.datanode.ipc.address": f"{HOST}:{data_rpc}",
        "dfs.replication": "1",
    }
    properties = "".join(
        f"<property><name>{name}</name><value>{escape(str(value))}</value></property>"
        for name, value in settings.items()
    )
    configuration = folder / "conf"
    configuration.mkdir(parents=True)
    # The servers read both, and all settings in either.
    for name in ("core-site.xml", "hdfs-site.xml"):
        (configuration / name).write_text(f"<configuration>{properties}</configuration>")


@contextmanager
def _java(folder: Path, name: str, classes: str, *command: str) -> Iterator[subprocess.Popen]:
    """Starts a JVM, and ends it by its id."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [java, *_JAVA_OPTIONS, "-cp", classes, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(folder: Path, web: int, *processes: subprocess.Popen) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not _is_up(web):
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))
            raise RuntimeError(f"HDFS did not come up:\n{logs}")
        time.sleep(0.1)


def _is_up(web: int) -> bool:
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(f"http://{HOST}:{web}{_STATE}", timeout=30) as answer:
            (state,) = json.load(answer)["beans"]
    except (OSError, ValueError):
        return False
    return state["FSState"] == "Operational" and state["NumLiveDataNodes"] == 1
