"""A second S3 server for the tests, beside moto: versitygw on loopback, over a folder."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.hadoop import HOST, free_ports
from tests.cluster.programs import find_program, program


def versitygw_program() -> str:
    """Finds the server's program.

    Raises:
        FileNotFoundError: It is not there.
    """
    return find_program("versitygw", "make test-versitygw")


@contextmanager
def versitygw_server(access_key: str, secret_key: str, region: str) -> Iterator[str]:
    """Starts a server with one user, gives its endpoint, and ends it.

    Its objects lie in a temporary folder, whose file system must have extended attributes.
    """
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="versitygw-") as name:
        objects = Path(name, "objects")
        objects.mkdir()
        command = [
            versitygw_program(), "--port", f"{HOST}:{port}", "--region", region, "--quiet", "posix", str(objects)
        ]  # fmt: skip
        user = {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}
        with program(command, Path(name, "versitygw.log"), lambda: _listens(port), user):
            yield f"http://{HOST}:{port}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
