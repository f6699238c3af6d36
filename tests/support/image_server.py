"""A server on this machine that answers a downloader of images as the web does: well, badly, slowly, or not at all."""

import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SECONDS_OF_SLOW = 15
"""How long the slow answer takes; a downloader is to give up sooner."""

KINDS = ("good", "missing", "slow", "opted-out", "page")
"""What the first part of a path asks for; the rest tells good images apart, as does any other first part."""


def png(shade: int, side: int = 8) -> bytes:
    """A square of one shade of grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([shade]) * side) * side
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = urlsplit(self.path).path.split("/")[1]
        self.server.requests[kind] += 1
        if kind == "slow":
            time.sleep(SECONDS_OF_SLOW)
        status, headers, body = 200, {"Content-Type": "image/png"}, png(len(self.path))
        if kind == "missing":
            status, headers, body = 404, {"Content-Type": "text/plain"}, b"nothing here"
        elif kind == "opted-out":
            headers["X-Robots-Tag"] = "noai"
        elif kind == "page":
            headers, body = {"Content-Type": "text/html"}, b"<html><body>Please log in</body></html>"
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # Whoever asked has given up.
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


class ImageServer(ThreadingHTTPServer):
    """The server; `requests` counts what was asked for, by kind. As a proxy it has the images of all hosts."""

    daemon_threads = True
    # As many as img2dataset's threads may ask at once.
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def image_server() -> Iterator[ImageServer]:
    """Serves until the block ends."""
    with ImageServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
