"""HTTP server for tests of API clients: it stores what it is asked and gives scripted answers, broken ones too."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ScriptedApi:
    """The server. Its answers are given in order, the last one again and again."""

    url: str
    answers: list[Script] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def says(self, status: int, body: Any = None, **headers: str) -> "ScriptedApi":
        """One more answer. `Retry_After="5"` is the header Retry-After; bytes are sent as they are, None is no body."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append(lambda handler: _answer(handler, status, content, headers))
        return self

    def does(self, script: Script) -> "ScriptedApi":
        self.answers.append(script)
        return self

    def next(self) -> Script:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection before any answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang_up_halfway(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection in the middle of a body."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"name": ')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def _answer(handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: Mapping[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    """A server on this machine, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with api.lock:
                api.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
                script = api.next()
            script(self)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test's report is enough."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Nothing: scripts close connections on purpose."""

    with Server(("127.0.0.1", 0), Handler) as server:
        api = ScriptedApi(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
