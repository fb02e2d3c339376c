"""Scenarios of hostile callers: slow and idle connections, readers that stop, oversized JSON, login floods.

Each runs while other callers ask for codes, and checks how those were served.
"""

import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx

from bench.machine import Peak, group
from bench.partner import Partner
from chaos.checker import Counts, recover_and_check
from chaos.harness import ApiClient, ChaosStack
from config.run.processes import wait_until
from config.webserver.worker import allow_files

MAX_WAIT = 3.0
"""Most seconds that another caller may have to wait."""
BODY = b"POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
BOMB = b'{"clientes":[' + b"{}," * 2_700_000 + b"{}]}"
MIB = 2**20


def slow_bodies(stack: ChaosStack, rng: random.Random, *, held: int, seconds: float) -> Counts:
    """Send one byte of a body, or one every two seconds, from one address and from many."""
    api = stack.ready()
    for addresses in (1, held):
        connections: list[socket.socket] = []
        with ExitStack() as stopping, background_load(api, stack) as calls:
            for n in range(held):
                connections.append(stopping.enter_context(closing(_connect(stack, 2 + n % addresses, BODY))))
            _drip(connections[::2], every=2, until=time.monotonic() + seconds)
        _assert_served(calls, f"{held} bodies held from {addresses} addresses")
    return _count(api, stack, calls)


def bodies_end(stack: ChaosStack, rng: random.Random, *, held: int) -> Counts:
    """Unfinished bodies end after 20 seconds, however their bytes are spread."""
    api = stack.ready()
    with ExitStack() as stopping, background_load(api, stack) as calls:
        connections = [stopping.enter_context(closing(_connect(stack, 2, BODY))) for _ in range(held)]
        began = time.monotonic()
        _drip(connections[::2], every=2, until=began + 16)
        early = sum(_is_closed(connection) for connection in connections)
        wait_until(lambda: all(_is_closed(connection) for connection in connections), 12)
        took = time.monotonic() - began
        left = sum(not _is_closed(connection) for connection in connections)
    counts = _count(api, stack, calls)
    counts.expect(not early and not left, f"{early} ended early, {left} were still held after {took:.0f} s")
    counts.notes.append(f"given up after {took:.1f} s")
    return counts


def idle_connections(stack: ChaosStack, rng: random.Random, *, connections: int, seconds: float) -> Counts:
    """Open connections without a request from one address, which also asks for `/status`."""
    api = stack.ready()
    allow_files(connections)
    status: list[float] = []
    with ExitStack() as stopping, background_load(api, stack) as calls:
        for _ in range(connections):
            stopping.enter_context(closing(_connect(stack, 2)))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status.append(_status(stack, 2))
            time.sleep(0.1)
    counts = _count(api, stack, calls)
    counts.expect(max(status) < 1, f"/status took {max(status):.2f} s")
    counts.notes.append(f"/status at most {max(status) * 1000:.0f} ms")
    return counts


def json_bombs(stack: ChaosStack, rng: random.Random, *, concurrent: int) -> Counts:
    """Send bodies of 8 MiB that would become millions of objects, without a credential."""
    api = stack.ready()
    before = [Peak([pid]) for pid in group(stack.web.pid)]
    with background_load(api, stack) as calls, ThreadPoolExecutor(concurrent) as pool:
        answers = list(pool.map(lambda n: _post_bomb(stack, 2 + n), range(concurrent)))
    grown = sum(each.growth() for each in before) / MIB
    counts = _count(api, stack, calls)
    counts.expect(all(400 <= status < 500 for status in answers), f"they were answered {answers}")
    counts.expect(grown < 300, f"the web processes grew by {grown:.0f} MiB")
    counts.notes.append(f"{grown:.0f} MiB more")
    return counts


def reader_stops(stack: ChaosStack, rng: random.Random, *, rows: int) -> Counts:
    """Stop reading an export of 100 MB; the partner's next one can begin within 15 seconds."""
    api = stack.ready()
    with stack.database() as database:
        partner = Partner(stack, database)
        partner.fill_sent_messages(rows, subject="x" * 200)
    with (
        background_load(api, stack) as calls,
        closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)) as connection,
    ):
        _export(connection, partner.token)
        answer = connection.getresponse()  # kept, or the connection would be closed
        assert len(answer.read(1024)) == 1024
        began = time.monotonic()
        assert wait_until(lambda: _may_export(stack, partner.token), 20), "the slot is free again"
        took = time.monotonic() - began
    counts = _count(api, stack, calls)
    counts.expect(5 < took < 15, f"its slot was taken for {took:.1f} s")
    counts.notes.append(f"free after {took:.1f} s")
    return counts


def login_drain(stack: ChaosStack, rng: random.Random, *, posters: int, seconds: float) -> Counts:
    """Post wrong passwords without a pause, from one address, to the login page and the login API."""
    api = stack.ready()
    until = time.monotonic() + seconds
    names = itertools.count()
    with background_load(api, stack) as calls, ThreadPoolExecutor(posters) as pool:
        trying = [pool.submit(_try_logins, stack, names, by_page=n % 2 == 0, until=until) for n in range(posters)]
        answers = Counter(status for each in trying for status in each.result())
    counts = _count(api, stack, calls)
    counts.expect(set(answers) <= {200, 401, 403, 429}, f"they were answered {dict(answers)}")
    counts.notes.append(f"{answers.total()} logins tried, {answers[429]} refused at once")
    return counts


# --- attacks ---


def _connect(stack: ChaosStack, last: int, first: bytes = b"") -> socket.socket:
    """Connect from 127.0.0.`last`: any address of the loopback network counts as another caller's."""
    connection = socket.create_connection(("127.0.0.1", stack.port), timeout=30, source_address=(f"127.0.0.{last}", 0))
    connection.sendall(first)
    return connection


def _drip(connections: list[socket.socket], *, every: float, until: float) -> None:
    while time.monotonic() < until:
        time.sleep(every)
        for connection in connections:
            with suppress(OSError):
                connection.sendall(b" ")


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _status(stack: ChaosStack, last: int) -> float:
    """Seconds until `/status` has answered with 200."""
    began = time.monotonic()
    with closing(_connect(stack, last, b"GET /v1/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200"), "it answers"
    return time.monotonic() - began


def _post_bomb(stack: ChaosStack, last: int) -> int:
    """Send an oversized body and return the status of the answer."""
    source = (f"127.0.0.{last}", 0)
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60, source_address=source)) as connection:
        connection.request("POST", "/api/v1", BOMB, {"Content-Type": "application/json"})
        return connection.getresponse().status


def _try_logins(stack: ChaosStack, names: Iterator[int], *, by_page: bool, until: float) -> list[int]:
    """Statuses of the answers."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    found = []
    with httpx.Client(base_url=stack.url, transport=transport, headers={"Referer": stack.url}, timeout=30) as poster:
        if by_page:
            poster.get("/admin/login/")
        while time.monotonic() < until:
            form: dict[str, str] = {"username": f"nadie{next(names)}", "password": "una-clave-cualquiera"}
            if by_page:
                form["csrfmiddlewaretoken"] = poster.cookies.get("csrftoken") or ""
                found.append(poster.post("/admin/login/", data=form).status_code)
            else:
                found.append(poster.post("/v1/api/auth/login", json=form).status_code)
    return found


def _export(connection: http.client.HTTPConnection, token: str) -> None:
    body = {"token": token, "usuario": "M", "solicitud": "mensajes_enviados"}
    connection.request("POST", "/api/v1", json.dumps(body), {"Content-Type": "application/json"})


def _may_export(stack: ChaosStack, token: str) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)) as connection:
        _export(connection, token)
        return connection.getresponse().status == 200


# --- other callers ---


@contextmanager
def background_load(api: ApiClient, stack: ChaosStack) -> Iterator[list[tuple[int, float]]]:
    """Ask for codes from two threads meanwhile; yields status and seconds of each call."""
    done = threading.Event()
    api.answers.clear()

    def ask() -> None:
        while not done.wait(0.02):
            api.ask()

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            yield api.answers
        finally:
            done.set()
            for each in asking:
                each.result()


def _assert_served(calls: list[tuple[int, float]], what: str) -> None:
    failures = _failures(calls)
    assert not failures, f"{what}: {'; '.join(failures)}"


def _failures(calls: list[tuple[int, float]]) -> list[str]:
    """Refused and slow calls of the other callers."""
    refused = [status for status, _ in calls if not 200 <= status < 300]
    slowest = max(seconds for _, seconds in calls)
    found = [f"{len(refused)} of {len(calls)} calls of others were refused, such as {refused[0]}"] if refused else []
    return found + ([f"another caller waited {slowest:.1f} s"] if slowest >= MAX_WAIT else [])


def _count(api: ApiClient, stack: ChaosStack, calls: list[tuple[int, float]]) -> Counts:
    """Check how the other callers were served, and the outcomes of their messages."""
    made, slowest, failures = len(calls), max(seconds for _, seconds in calls), _failures(calls)
    counts = recover_and_check(api, stack)
    counts.wrong.extend(failures)
    counts.notes.append(f"{made} calls of others, slowest {slowest:.2f} s")
    return counts
