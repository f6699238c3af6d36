"""A proxy on loopback that answers some requests with 503, cuts some bodies and loses answers. Used by the tests.

What it does follows a seeded plan. It hands the Host header on unchanged, so that signed requests stay valid.
"""

import http.client
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code><Message>Slow</Message></Error>'
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class FaultProxy:
    """A proxy in threads of this process.

    Attributes:
        url: Where it listens.
        counts: Requests, refusals, cut bodies and lost answers so far. The first `lost_puts` puts arrive, but nobody is
            told. Where `unconditional`, conditions are dropped, as by a server that ignores them.
    """

    def __init__(  # noqa: C901 - one handler, read from top to bottom
        self,
        target: str,
        *,
        refused: float = 0.0,
        cut: float = 0.0,
        seed: int = 0,
        page_with_200: float = 0.0,
        lost_puts: int = 0,
        unconditional: bool = False,
    ) -> None:
        self.counts: Counter = Counter()
        chance, lock = random.Random(seed), threading.Lock()
        host = urlsplit(target).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments):
                pass

            def answer(inner):  # noqa: N805 - self is the server
                with lock:
                    drawn = chance.random()
                    drawn_for_body = chance.random()
                    self.counts["requests"] += 1
                length = int(inner.headers.get("Content-Length") or 0)
                content = inner.rfile.read(length)
                is_get = inner.command == "GET"
                if drawn < refused:
                    self.counts["refused"] += 1
                    inner.reply(503, {"Content-Type": "application/xml"}, SLOW_DOWN)
                    return
                if is_get and drawn < refused + page_with_200:
                    self.counts["page_with_200"] += 1
                    inner.reply(200, {"Content-Type": "application/xml"}, SLOW_DOWN)
                    return
                connection = http.client.HTTPConnection(host, timeout=60)
                try:
                    connection.putrequest(inner.command, inner.path, skip_host=True, skip_accept_encoding=True)
                    dropped = {"connection", "transfer-encoding", *(["if-none-match"] if unconditional else [])}
                    for name, value in inner.headers.items():
                        if name.lower() not in dropped:
                            connection.putheader(name, value)
                    connection.endheaders(content)
                    answer = connection.getresponse()
                    body = answer.read()
                    headers = {n: v for n, v in answer.getheaders() if n.lower() not in HOP_BY_HOP}
                    stated = answer.getheader("Content-Length") if inner.command == "HEAD" else None
                finally:
                    connection.close()
                if inner.command == "PUT" and self.counts["lost"] < lost_puts:
                    self.counts["lost"] += 1
                    inner.close_connection = True
                    return
                is_cut = is_get and len(body) > 1 and drawn_for_body < cut
                self.counts["cut"] += is_cut
                inner.reply(answer.status, headers, body, len(body) // 2 if is_cut else None, stated)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - the names that http.server calls

            def reply(self, status, headers, body, cut_at=None, stated=None):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", stated or str(len(body)))
                if cut_at is not None:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    # A client that has enough, or had enough of it, hangs up.
                    with suppress(ConnectionError):
                        self.wfile.write(body if cut_at is None else body[:cut_at])
                if cut_at is not None:
                    self.wfile.flush()
                    self.close_connection = True

        self.server = start_server(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def start_server(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Starts an HTTP server on a free port of loopback, in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


Answer = tuple[int, dict[str, str], bytes]


class ScriptedServer:
    """Answers each request by a function of (number of the request, method, path, headers).

    Attributes:
        url: Where it listens.
        seen: (method, path, headers in lower case) of every request.
    """

    def __init__(self, script: Callable[[int, str, str, dict[str, str]], Answer]) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments):
                pass

            def answer(inner):  # noqa: N805 - self is the server
                headers = {name.lower(): value for name, value in inner.headers.items()}
                inner.rfile.read(int(headers.get("content-length") or 0))
                self.seen.append((inner.command, inner.path, headers))
                status, given, body = script(len(self.seen), inner.command, inner.path, headers)
                inner.send_response(status)
                for name, value in {"Content-Length": str(len(body)), "Connection": "close", **given}.items():
                    inner.send_header(name, value)
                inner.end_headers()
                if inner.command != "HEAD":
                    with suppress(ConnectionError):
                        inner.wfile.write(body)
                inner.close_connection = True

            do_GET = do_HEAD = do_PUT = answer  # noqa: N815 - the names that http.server calls

        self.server = start_server(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
