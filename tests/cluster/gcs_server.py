"""The Google Cloud Storage of the tests: fake-gcs-server on loopback, and Google's connector for Hadoop."""

import json
import re
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from tests.cluster.hadoop import HOST, ask, free_ports, jar_of_central
from tests.cluster.programs import find_program, program

CONNECTOR = "com/google/cloud/bigdataoss/gcs-connector/3.1.9"
_CONNECTOR_DIGEST = "c5fcafb3b1671801c9fe61dff16d946729314d495c4e03590b79e52d01d081bb"

_REQUEST = re.compile(r'\\"(?P<method>[A-Z]+) (?P<url>\S+) HTTP/[\d.]+\\" (?P<status>\d{3}) ')


class Request(NamedTuple):
    """A request that a server has answered."""

    method: str
    path: str
    query: dict[str, list[str]]
    status: int


@dataclass(frozen=True)
class GcsServer:
    """A running server.

    Attributes:
        endpoint: Its address.
        connector: The jar of Google's connector.
        log: Its log.
    """

    endpoint: str
    connector: Path
    log: Path

    def new_bucket(self) -> str:
        """Makes a bucket with a name of its own, and gives its URL."""
        name = f"metaclip-{uuid.uuid4().hex[:12]}"
        self._post("storage/v1/b?project=tests", json.dumps({"name": name}).encode(), "application/json")
        return f"gs://{name}"

    def put(self, bucket: str, name: str, content: bytes) -> str:
        """Puts an object into a bucket, and gives its URL."""
        place = f"b/{bucket.removeprefix('gs://')}/o?uploadType=media&name={quote(name, safe='')}"
        self._post(f"upload/storage/v1/{place}", content, "application/octet-stream")
        return f"{bucket}/{name}"

    def _post(self, path: str, content: bytes, kind: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}/{path}", content, {"Content-Type": kind})
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        straight.open(request, timeout=30).close()

    def hadoop_settings(self) -> dict[str, str]:
        """Gives what Google's connector needs to know of a server that is not Google's."""
        return {
            "fs.gs.storage.root.url": f"{self.endpoint}/",
            "fs.gs.auth.type": "UNAUTHENTICATED",
            "fs.gs.project.id": "tests",
            # It cannot move an object, which the connector asks for since version 3.1: it copies and deletes instead.
            "fs.gs.operation.move.enable": "false",
        }

    def environment(self) -> dict[str, str]:
        """Gives what gcsfs needs to know of it."""
        return {
            "STORAGE_EMULATOR_HOST": self.endpoint,
            # gcsfs asks by gRPC what kind of bucket it is, and waits a minute for a server that has no gRPC.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    def requests(self) -> list[Request]:
        """Gives the requests that it has answered, in their order."""
        found = []
        for match in _REQUEST.finditer(self.log.read_text()):
            path, _, query = match["url"].partition("?")
            found.append(Request(match["method"], unquote(path), parse_qs(query), int(match["status"])))
        return found


def connector_jar() -> Path:
    """Finds the jar of Google's connector with all that it needs, or fetches it.

    Raises:
        OSError: It can neither be found nor fetched.
    """
    return jar_of_central(CONNECTOR, _CONNECTOR_DIGEST, "shaded")


def gcs_program() -> str:
    """Finds the server's program.

    Raises:
        FileNotFoundError: It is not there.
    """
    return find_program("fake-gcs-server", "make test-gcs")


@contextmanager
def gcs_server(folder: Path) -> Iterator[GcsServer]:
    """Starts a server that keeps everything in a folder, and ends it."""
    (port,) = free_ports(1)
    address = f"{HOST}:{port}"
    log = folder / "fake-gcs-server.log"
    command = [
        gcs_program(), "-scheme", "http", "-host", HOST, "-port", str(port), "-public-host", address,
        "-external-url", f"http://{address}", "-backend", "filesystem", "-filesystem-root", str(folder / "objects"),
    ]  # fmt: skip
    with program(command, log, lambda: bool(ask(f"http://{address}/storage/v1/b?project=tests"))):
        yield GcsServer(f"http://{address}", connector_jar(), log)


def let_reach(session: Any, server: GcsServer) -> None:
    """Lets a session that runs already reach a server: its driver, which reads and writes objects."""
    jvm, hadoop = session._jvm, session.sparkContext._jsc.hadoopConfiguration()
    for name, value in server.hadoop_settings().items():
        hadoop.set(name, value)
    urls = session.sparkContext._gateway.new_array(jvm.java.net.URL, 1)
    urls[0] = jvm.java.net.URL(server.connector.as_uri())
    hadoop.setClassLoader(jvm.java.net.URLClassLoader(urls, hadoop.getClassLoader()))
