"""Fake HTTP API of a provider on this machine: stores requests and gives scripted answers, also broken ones."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


@dataclass
class Request:
    """One request as received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Provider:
    """Fake API. `answers`: (status, headers, body), or a callable that takes the handler; the last one is repeated."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answers: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, status: int, body: object = None, **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body or {})
        self.answers = [(status, {name.replace("_", "-"): value for name, value in headers.items()}, text)]

    def do(self, act: Callable) -> None:
        self.answers = [act]


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection after reading the request, before any answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def half(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection in the middle of the answer."""
    handler.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{"sid": ')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def trickling(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


@contextmanager
def provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with made.lock:
                made.requests.append(Request(self.path, dict(self.headers.items()), body))
                answer = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            if callable(answer):
                self.close_connection = True
                answer(self)
                return
            status, headers, text = answer
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that disconnect are part of the tests
    made = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
