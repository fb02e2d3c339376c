"""Web server against callers that are slow, many or do not speak HTTP; its deadlines are shortened here."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from config.tests.conftest import soon
from config.webserver import channel, server
from config.webserver.__main__ import bound_socket
from config.webserver.server import Limits, Server
from config.webserver.tasks import STOPPING

TICK = 0.05
HEAD = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"


def echo(environ, start_response):
    """The body and one header, as the application sees them."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Cookie", environ.get("HTTP_COOKIE", "")), ("Content-Length", str(len(body)))])
    return [body]


class Running:
    def __init__(self, app: Callable, threads: int = 2, limits: Limits | None = None) -> None:
        self.listening = bound_socket("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        self.server = Server(app, self.listening, threads, limits or Limits())
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def connect(self, source: str = "127.0.0.1", first: str = "") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
        connection.sendall(first.encode())
        return connection

    def answer(self, text: str | bytes, source: str = "127.0.0.1") -> bytes:
        """All that comes until the connection is closed."""
        with closing(self.connect(source)) as connection:
            connection.sendall(text if isinstance(text, bytes) else text.encode())
            return read_all(connection)

    def stop(self) -> None:
        with suppress(OSError):  # it had been stopped before
            self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def serving(monkeypatch) -> Iterator[Callable[..., Running]]:
    with ExitStack() as stopping:

        def start(app: Callable = echo, **options) -> Running:
            monkeypatch.setattr(server, "CHECK_SECONDS", TICK)
            running = Running(app, **options)
            stopping.callback(running.stop)
            return running

        yield start


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.setblocking(True)


@contextmanager
def dripping(connection: socket.socket, part: bytes, every: float) -> Iterator[None]:
    """Send a part repeatedly until the connection breaks."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(every):
            try:
                connection.sendall(part)
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


# --- slow requests ---


@pytest.mark.parametrize("part", [b"", b"x"], ids=["silence", "a byte now and then"])
@pytest.mark.parametrize(
    "beginning", [HEAD + "Content-Length: 1000\r\n\r\nx", HEAD + "Transfer-Encoding: chunked\r\n\r\n500\r\nx"]
)
def test_a_body_has_so_long_in_all_however_it_is_spread(serving, monkeypatch, beginning, part):
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.6)
    connection = serving().connect(first=beginning)
    began = time.monotonic()
    with closing(connection), dripping(connection, part, 0.1):
        soon(lambda: is_closed(connection), 5)
        assert 0.5 < time.monotonic() - began < 2


def test_a_body_that_keeps_the_least_pace_may_take_longer(serving, monkeypatch):
    monkeypatch.setattr(channel, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(channel, "BODY_RATE", 100)
    with closing(serving().connect(first=HEAD + "Connection: close\r\nContent-Length: 1000\r\n\r\n")) as connection:
        for _ in range(10):
            time.sleep(0.1)
            connection.sendall(b"x" * 100)
        assert read_all(connection).endswith(b"x" * 1000)


def test_a_header_has_so_long_in_all(serving, monkeypatch):
    monkeypatch.setattr(channel, "HEADER_SECONDS", 0.5)
    connection = serving().connect(first=HEAD)
    with closing(connection), dripping(connection, b"X-A: b\r\n", 0.1):
        soon(lambda: is_closed(connection), 3)


def test_a_silent_connection_closes_before_one_that_has_sent_a_request(serving, monkeypatch):
    monkeypatch.setattr(channel, "HEADER_SECONDS", 0.3)
    running = serving()
    silent = running.connect()
    spoke = running.connect(first="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with closing(silent), closing(spoke):
        assert spoke.recv(1000).startswith(b"HTTP/1.1 200 OK")
        soon(lambda: is_closed(silent), 3)
        assert not is_closed(spoke)


def test_a_second_header_on_a_kept_connection_has_its_own_time(serving, monkeypatch):
    monkeypatch.setattr(channel, "HEADER_SECONDS", 0.4)
    connection = serving().connect(first="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with closing(connection):
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        time.sleep(0.6)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.2)
        connection.sendall(b"Host: localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"GET / HTTP/1.1\r\n")
        soon(lambda: is_closed(connection), 3)


def test_held_bodies_take_no_thread(serving):
    running = serving(threads=1)
    with ExitStack() as stopping:
        for n in range(40):
            stopping.enter_context(closing(running.connect(f"127.0.0.{n + 2}", HEAD + "Content-Length: 1000\r\n\r\nx")))
        began = time.monotonic()
        assert b"hola" in running.answer(HEAD + "Connection: close\r\nContent-Length: 4\r\n\r\nhola")
        assert time.monotonic() - began < 1


# --- slow readers ---


class Endless:
    """A body without an end, which knows whether it was closed."""

    def __init__(self) -> None:
        self.closed_at = 0.0

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self

    def __iter__(self):
        while True:
            yield b"x" * 65536

    def close(self) -> None:
        self.closed_at = time.monotonic()


def test_a_reader_that_stops_loses_its_connection_and_frees_the_thread(serving, monkeypatch):
    body = Endless()
    running = serving(body, threads=1)
    with closing(running.connect(first="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) as connection:
        assert connection.recv(1000)
        soon(lambda: body.closed_at, 5)  # ten looks of 0.05 s; what the kernel holds was taken long before


def test_a_reader_that_keeps_the_least_pace_is_served(serving, monkeypatch):
    monkeypatch.setattr(channel, "READER_RATE", 1)
    body = Endless()
    running = serving(body, threads=1)
    with closing(running.connect(first="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) as connection:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert connection.recv(65536)
            time.sleep(0.01)
        assert not body.closed_at


def test_an_application_slower_than_its_reader_is_nobodys_fault(serving):
    def slow(environ, start_response):
        start_response("200 OK", [])
        for _ in range(12):
            time.sleep(0.1)
            yield b"x"

    assert running_answer(serving(slow)).count(b"x") == 12


def running_answer(running: Running) -> bytes:
    return running.answer("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


# --- many connections ---


def test_an_address_over_its_limit_loses_the_connection_that_waited_longest(serving):
    running = serving(limits=Limits(connections=100, connections_per_address=5))
    with ExitStack() as stopping:
        other = stopping.enter_context(closing(running.connect("127.0.0.9")))
        soon(lambda: len(running.server.active_channels) == 1)
        connections = [stopping.enter_context(closing(running.connect())) for _ in range(20)]
        assert b"200 OK" in running_answer(running)
        soon(lambda: sum(is_closed(connection) for connection in connections) >= 15)
        assert not is_closed(other)
        assert all(is_closed(connection) for connection in connections[:10])


def test_over_the_limit_in_all_the_address_with_most_connections_pays(serving):
    running = serving(limits=Limits(connections=20, connections_per_address=50))
    with ExitStack() as stopping:
        few = [stopping.enter_context(closing(running.connect("127.0.0.9"))) for _ in range(3)]
        for _ in range(30):
            stopping.enter_context(closing(running.connect()))
        soon(lambda: len(running.server.active_channels) == 20)
        assert not any(is_closed(connection) for connection in few)


def test_bodies_are_bounded_over_all_connections(serving):
    running = serving(limits=Limits(bodies=2))
    with ExitStack() as stopping:
        small = stopping.enter_context(
            closing(running.connect("127.0.0.9", HEAD + "Connection: close\r\nContent-Length: 5\r\n\r\nhol"))
        )
        for _ in range(6):
            connection = running.connect(first=HEAD + "Content-Length: 8000000\r\n\r\n")
            stopping.enter_context(closing(connection))
            try:
                connection.sendall(b"x" * 900_000)
            except ConnectionError:
                continue
        soon(lambda: len(running.server.active_channels) <= 4)
        assert running.server._exact_body_bytes() <= 2 * 1024 * 1024
        small.sendall(b"as")
        assert read_all(small).endswith(b"holas")


# --- what arrives ---


def test_chunks_and_bytes_outside_ascii_arrive(serving):
    text = HEAD.encode() + b"Cookie: otro=Jos\xc3\xa9\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = serving().answer(text + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nabcde")
    assert b"X-Cookie: otro=Jos\xc3\xa9" in answer


def test_requests_sent_together_are_answered_in_order(serving):
    first, second = (f"{HEAD}Content-Length: 3\r\n{more}\r\n{text}" for more, text in (("", "uno"), ("", "dos")))
    last = HEAD + "Connection: close\r\nContent-Length: 4\r\n\r\ntres"
    answer = serving(slowly(0.05)).answer(first + second + last)
    assert [answer.index(word) for word in (b"uno", b"dos", b"tres")] == sorted(
        answer.index(word) for word in (b"uno", b"dos", b"tres")
    )


def slowly(seconds: float) -> Callable:
    def app(environ, start_response):
        time.sleep(seconds)
        return echo(environ, start_response)

    return app


def test_bytes_that_come_while_a_thread_is_busy_are_read_after(serving):
    with closing(serving(slowly(0.3)).connect(first=HEAD + "Content-Length: 3\r\n\r\nuno")) as connection:
        time.sleep(0.1)
        connection.sendall((HEAD + "Connection: close\r\nContent-Length: 3\r\n\r\ndos").encode())
        answer = read_all(connection)
        assert b"uno" in answer
        assert answer.endswith(b"dos")


def test_the_loop_waits_while_a_thread_writes_its_answer(serving, monkeypatch):
    """The caller may have the answer, and send the next request, before the thread has finished writing. The socket is
    writable all the time: the loop must not look at it again and again meanwhile."""
    writing = threading.Event()
    send = channel.Channel.send

    def slow_send(self, data, do_close=True):
        sent = send(self, data, do_close=do_close)
        if getattr(channel.serving, "channel", None) is self and not writing.is_set():
            writing.set()
            time.sleep(0.3)
        return sent

    monkeypatch.setattr(channel.Channel, "send", slow_send)
    running = serving()
    looks = []
    wait = running.server._map.wait
    monkeypatch.setattr(running.server._map, "wait", lambda seconds: looks.append(seconds) or wait(seconds))
    request = (HEAD + "Content-Length: 2\r\n\r\nab").encode()
    with closing(running.connect(first=request.decode())) as connection:
        assert writing.wait(5)
        connection.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(connection).count(b"200 OK") == 2
    assert len(looks) < 20


def test_a_body_announced_with_expect_is_asked_for(serving):
    with closing(
        serving().connect(first=HEAD + "Connection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    ) as connection:
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hola")
        assert read_all(connection).endswith(b"hola")


@pytest.mark.parametrize("sized", [True, False])
def test_a_head_is_answered_without_a_body(serving, sized):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")] if sized else [])
        return iter([b"ho", b"la"])

    answer = serving(app).answer("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert (b"Content-Length: 4" in answer) is sized


# --- what the server refuses by itself ---

CONTRACT = "/v1/api/client"


@pytest.mark.parametrize(
    "lines",
    [
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3, 4\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {'9' * 5000}\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nno header at all\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\n" + "Transfer-Encoding: chunked\r\n" * 2 + "\r\n0\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \r\n\r\n0\r\n\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nX: {'a' * 40_000}\r\n\r\n",
        f"post {CONTRACT} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET {CONTRACT} HTTP/9.9\r\nHost: localhost\r\n\r\n",
        f"GET {CONTRACT}\r\nHost: localhost\r\n\r\n",
    ],
)
def test_below_a_contract_an_error_has_its_envelope(serving, lines):
    answer = serving().answer(lines)
    assert answer.startswith(b"HTTP/1."), answer
    assert b"400 Bad Request" in answer
    assert b'"code":"ERR_VALIDATION"' in answer
    for header in (b"Request-Id: ", b"Content-Security-Policy: ", b"X-Content-Type-Options: nosniff"):
        assert header in answer


def test_elsewhere_it_is_a_line_of_text(serving):
    answer = serving().answer("POST /admin/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n")
    assert answer.endswith("La solicitud no es válida.".encode())
    for header in (b"Request-Id: ", b"Content-Security-Policy: ", b"X-Content-Type-Options: nosniff"):
        assert header in answer


def test_two_lengths_are_refused_rather_than_one_chosen(serving):
    """A proxy before the server may use the other length and take the rest for another request."""
    answer = serving().answer(HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert b"400 Bad Request" in answer


def test_an_address_that_is_none_is_no_fault(serving, caplog):
    assert serving().answer("GET http://[/v1/api/client HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    assert not caplog.records


def test_a_chunk_too_large_is_refused_as_soon_as_it_is_announced(serving):
    answer = serving().answer(
        f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{{"
    )
    assert b'"code":"ERR_PAYLOAD_TOO_LARGE"' in answer


@pytest.mark.parametrize(("path", "words"), [(CONTRACT, b'"code":"ERR_INTERNAL"'), ("/soporte/", b"interno")])
def test_a_fault_of_the_application_itself_is_answered_and_leaves_no_path(serving, caplog, path, words):
    def broken(environ, start_response):
        raise LookupError("no codec")

    answer = serving(broken).answer(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 "), answer
    assert words in answer
    assert b"Request-Id: " in answer
    assert caplog.records[0].exc_info
    assert path not in caplog.text


def test_a_fault_in_the_middle_of_an_answer_leaves_no_path(serving, caplog):
    def broken(environ, start_response):
        start_response("200 OK", [("Content-Length", "1000")])
        yield b"x" * 10
        raise LookupError("in the middle")

    assert serving(broken).answer("GET /nobody/knows HTTP/1.1\r\nHost: localhost\r\n\r\n").endswith(b"x" * 10)
    assert "in the middle" in caplog.text
    assert "/nobody/knows" not in caplog.text


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 40_000])
def test_what_names_no_path_is_closed_without_an_answer(serving, noise):
    assert serving().answer(noise) == b""


def test_a_caller_that_sends_too_much_can_read_the_answer(serving):
    size = 20_000_000
    with closing(
        serving().connect(first=f"POST {CONTRACT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n")
    ) as connection:
        connection.sendall(b"x" * size)
        answer = read_all(connection)
    assert b"413 " in answer.split(b"\r\n")[0]
    assert b'"code":"ERR_PAYLOAD_TOO_LARGE"' in answer


def test_chunks_of_a_byte_are_refused_before_they_cost_much(serving):
    answer = serving().answer(HEAD + "Transfer-Encoding: chunked\r\n\r\n" + "1\r\na\r\n" * 100_000 + "0\r\n\r\n")
    assert b"400 Bad Request" in answer


# --- the begin and the end ---


def test_callers_are_refused_until_a_process_can_serve():
    """A proxy then asks another server; in a backlog its callers would wait for the start."""
    with closing(bound_socket("127.0.0.1", 0)) as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(port.getsockname())


def test_a_server_opens_its_port(serving):
    assert b"hola" in serving().answer(HEAD + "Connection: close\r\nContent-Length: 4\r\n\r\nhola")


def test_a_stop_waits_for_requests_under_way_and_for_nothing_else(serving):
    running = serving(slowly(0.5))
    with ExitStack() as stopping:
        idle = stopping.enter_context(closing(running.connect()))
        busy = stopping.enter_context(closing(running.connect(first=HEAD + "Content-Length: 4\r\n\r\nhola")))
        time.sleep(0.2)
        running.server.stop()
        soon(lambda: is_closed(idle), 2)
        assert read_all(busy).endswith(b"hola")
        running.thread.join(3)
        assert not running.thread.is_alive()


def test_a_kept_connection_may_send_one_more_request_after_a_stop(serving):
    """A proxy may be just sending it, and nginx repeats no POST."""
    running = serving()
    with closing(running.connect(first=HEAD + "Content-Length: 4\r\n\r\nhola")) as kept:
        first = kept.recv(65536)
        assert first.endswith(b"hola")
        assert b"Connection: close" not in first
        running.server.stop()
        time.sleep(3 * TICK)
        kept.sendall((HEAD + "Content-Length: 4\r\n\r\notra").encode())
        answer = read_all(kept)
        assert answer.endswith(b"otra")
        assert b"Connection: close" in answer
    running.thread.join(3)
    assert not running.thread.is_alive()


def test_what_the_kernel_has_connected_before_a_stop_is_answered(serving, monkeypatch):
    running = serving(slowly(0.2), threads=1)
    handle = running.server._handle
    monkeypatch.setattr(running.server, "_handle", lambda *event: (time.sleep(0.3), handle(*event)))
    with ExitStack() as stopping:
        connections = [
            stopping.enter_context(closing(running.connect(first=HEAD + "Content-Length: 4\r\n\r\nhola")))
            for _ in range(6)
        ]
        running.server.stop()
        assert [read_all(each)[-4:] for each in connections] == [b"hola"] * 6


def test_several_lines_of_a_list_are_one_and_a_name_with_underscores_is_none(serving):
    """X-Forwarded-For names the caller, and each proxy may add a line to it."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ.get("HTTP_X_FORWARDED_FOR", "nothing").encode()]

    running = serving(app)
    get = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    headers = "X-Forwarded-For: 198.51.100.1\r\nAccept: */*\r\nx-forwarded-for: 203.0.113.7:51234\r\n"
    assert running.answer(f"{get}{headers}\r\n").endswith(b"198.51.100.1, 203.0.113.7:51234")
    assert b"nothing" in running.answer(f"{get}X_Forwarded_For: 203.0.113.7\r\n\r\n")


def ready(environ, start_response):
    """An application that says whether its server stops."""
    start_response("503 Stopping" if environ[STOPPING] else "200 OK", [("Content-Length", "0")])
    return []


def test_a_server_that_drains_accepts_connections_and_says_that_it_stops(serving):
    running = serving(ready, limits=Limits(drain=2))
    ask = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert running.answer(ask).startswith(b"HTTP/1.1 200")
    running.server.stop()
    assert running.answer(ask).startswith(b"HTTP/1.1 503"), "a balancer has seen it before connections are refused"
    running.thread.join(10)
    with pytest.raises(ConnectionRefusedError):
        running.connect()


def test_without_a_drain_a_stop_is_at_once(serving):
    running = serving(ready)
    started = time.monotonic()
    running.server.stop()
    running.thread.join(10)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("head", ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_a_request_without_a_host_reaches_the_application(serving, head):
    assert serving(ready).answer(head).startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
