"""Hadoop's servers for the tests: their jars, their settings, and a JVM for each.

One jar of Maven Central completes the client jars of PySpark; five small ones hold what Java had until version 8, and
what the ResourceManager signs with. They are kept where Maven keeps its own.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import pyspark

from tests.cluster.programs import end

HOST = "127.0.0.1"
SECONDS_TO_START = 90

CENTRAL = "https://repo1.maven.org/maven2"
LOCAL_REPOSITORY = Path.home() / ".m2" / "repository"
JARS = {
    "org/apache/hadoop/hadoop-client-minicluster/3.4.2": (
        "ae2406c544825b7734b8aad4f87eff60d9ec422284f0b16c2856032083b63c77"
    ),
    "jakarta/xml/bind/jakarta.xml.bind-api/2.3.3": "c04539f472e9a6dd0c7685ea82d677282269ab8e7baca2e14500e381e0c6cec5",
    "com/sun/activation/jakarta.activation/1.2.2": "02156773e4ae9d048d14a56ad35d644bee9f1052a791d072df3ded3c656e6e1a",
    "org/bouncycastle/bcprov-jdk18on/1.78.1": "add5915e6acfc6ab5836e1fd8a5e21c6488536a8c1f21f386eeb3bf280b702d7",
    "org/bouncycastle/bcpkix-jdk18on/1.78.1": "4b48ea084e5232b9d79ebca1887b9de037b124931807cd60710748c2aee08cc9",
    "org/bouncycastle/bcutil-jdk18on/1.78.1": "d9fa56f97b0f761ce3bc8d9d74c5d7137a987bf5bd3abfe1003f9bafa45a1d2f",
}
"""Folder on Maven Central -> SHA-256 of its jar. Hadoop's version is that of the client jars which PySpark brings."""

_CLIENT_JARS = Path(pyspark.__file__).parent / "jars"
_NEEDED = ("hadoop-client-api", "hadoop-client-runtime", "slf4j-api", "jcl-over-slf4j", "log4j")
_JAVA_OPTIONS = (
    # Servers that live for a minute: to verify and to compile thoroughly would cost them more than it brings.
    "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-BytecodeVerificationRemote", "-Djava.net.preferIPv4Stack=true",
    # The ResourceManager and the NodeManager look into classes that Java 17 has closed.
    "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED",
)  # fmt: skip
_WEB_PAGES = ("cluster", "node")
"""Folders on the class path without which the web servers of YARN do not start; the jars have those of HDFS only."""


def hadoop_jars() -> list[Path]:
    """Finds the jars of Hadoop's servers, or fetches them.

    Raises:
        OSError: One can neither be found nor fetched.
    """
    return [jar_of_central(folder, digest) for folder, digest in JARS.items()]


def jar_of_central(folder: str, digest: str, classifier: str = "") -> Path:
    """Finds a jar of Maven Central where Maven keeps it, or fetches it.

    Args:
        folder: Its folder on Maven Central.
        digest: Its SHA-256.
        classifier: What Maven calls it, where a version has several jars.

    Raises:
        OSError: It can neither be found nor fetched.
        ValueError: It is not the one that is meant.
    """
    *_, artifact, version = folder.split("/")
    name = f"{folder}/{'-'.join(filter(None, (artifact, version, classifier)))}.jar"
    jar = LOCAL_REPOSITORY / name
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        partial = jar.with_name(f".{jar.name}.{uuid.uuid4().hex}")
        try:
            with urllib.request.urlopen(f"{CENTRAL}/{name}", timeout=60) as answer, partial.open("wb") as file:
                shutil.copyfileobj(answer, file)
            _check(partial, name, digest)
            partial.replace(jar)
        finally:
            partial.unlink(missing_ok=True)
    _check(jar, name, digest)
    return jar


def _check(jar: Path, name: str, digest: str) -> None:
    with jar.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise ValueError(f"{jar} has the SHA-256 {found}, not that of {name}")


def class_path(configuration: Path) -> str:
    """Gives the class path of Hadoop's servers: their settings, their jars and PySpark's."""
    clients = [jar for kind in _NEEDED for jar in sorted(_CLIENT_JARS.glob(f"{kind}-*.jar"))]
    return os.pathsep.join(map(str, (configuration, *hadoop_jars(), *clients)))


def free_ports(number: int) -> list[int]:
    """Finds ports that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def write_settings(file: Path, settings: Mapping[str, object]) -> None:
    """Writes settings as Hadoop reads them."""
    properties = "".join(
        f"<property><name>{name}</name><value>{escape(str(value))}</value></property>"
        for name, value in settings.items()
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<configuration>{properties}</configuration>")


@contextmanager
def server(
    folder: Path, configuration: Path, main: str, *arguments: str, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen]:
    """Starts a JVM, whose log goes into a folder, and ends it by its id.

    Args:
        folder: Where its log lies.
        configuration: The folder of its settings.
        main: Its main class.
        *arguments: Those of the main class.
        before: A command that the JVM is started by.

    Yields:
        The process.
    """
    for pages in _WEB_PAGES:
        (configuration / "webapps" / pages).mkdir(parents=True, exist_ok=True)
    command = [*before, *_java(configuration), f"-Djava.io.tmpdir={folder}", main, *arguments]
    with (folder / f"{main.rpartition('.')[2].lower()}.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


def _java(configuration: Path) -> list[str]:
    home = os.environ.get("JAVA_HOME")
    return [str(Path(home, "bin", "java")) if home else "java", *_JAVA_OPTIONS, "-cp", class_path(configuration)]


def client(configuration: Path, main: str, *arguments: str) -> str:
    """Runs one of Hadoop's commands and gives what it prints."""
    command = [*_java(configuration), main, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_until(is_up: Callable[[], bool], folder: Path, *processes: subprocess.Popen) -> None:
    """Returns once servers are up; shows the ends of their logs if that takes too long or one of them ends."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not is_up():
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            logs = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(folder.rglob("*.log")))
            raise RuntimeError(f"Hadoop did not come up:\n{logs}")
        time.sleep(0.1)


def ask(url: str) -> bytes:
    """Asks a server on loopback, past any proxy; empty where it does not answer."""
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(url, timeout=30) as answer:
            return answer.read()
    except OSError:
        return b""
