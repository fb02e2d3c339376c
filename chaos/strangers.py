"""Strangers who try to stop the service: slow and idle connections, readers that stop, bodies that explode.

Each scenario does it while other callers ask for codes, and looks at how those were served.
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
from chaos.checker import Counts, aftermath
from chaos.standing import Field, Front
from config.run.processes import wait_until
from config.webserver.worker import allow_files

SLOWEST = 3.0
"""Seconds that another caller may have to wait at the most."""
BODY = b"POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
BOMB = b'{"clientes":[' + b"{}," * 2_700_000 + b"{}]}"
MIB = 2**20


def slow_bodies(stack: Field, dice: random.Random, *, held: int, seconds: float) -> Counts:
    """Bodies of which one byte comes, or one every two seconds, from one address and from many."""
    front = stack.ready()
    for addresses in (1, held):
        lines: list[socket.socket] = []
        with ExitStack() as stopping, others(front, stack) as calls:
            for n in range(held):
                lines.append(stopping.enter_context(closing(_connect(stack, 2 + n % addresses, BODY))))
            _drip(lines[::2], every=2, until=time.monotonic() + seconds)
        _were_served(calls, f"{held} bodies held from {addresses} addresses")
    return _counted(front, stack, calls)


def bodies_end(stack: Field, dice: random.Random, *, held: int) -> Counts:
    """Bodies that never come are given up after 20 seconds, however their bytes are spread."""
    front = stack.ready()
    with ExitStack() as stopping, others(front, stack) as calls:
        lines = [stopping.enter_context(closing(_connect(stack, 2, BODY))) for _ in range(held)]
        began = time.monotonic()
        _drip(lines[::2], every=2, until=began + 16)
        early = sum(_is_closed(line) for line in lines)
        wait_until(lambda: all(_is_closed(line) for line in lines), 12)
        took = time.monotonic() - began
        left = sum(not _is_closed(line) for line in lines)
    counts = _counted(front, stack, calls)
    counts.expect(not early and not left, f"{early} ended early, {left} were still held after {took:.0f} s")
    counts.notes.append(f"given up after {took:.1f} s")
    return counts


def idle_connections(stack: Field, dice: random.Random, *, connections: int, seconds: float) -> Counts:
    """Connections that say nothing, from one address; the same address asks for the status meanwhile."""
    front = stack.ready()
    allow_files(connections)
    status: list[float] = []
    with ExitStack() as stopping, others(front, stack) as calls:
        for _ in range(connections):
            stopping.enter_context(closing(_connect(stack, 2)))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status.append(_status(stack, 2))
            time.sleep(0.1)
    counts = _counted(front, stack, calls)
    counts.expect(max(status) < 1, f"/status took {max(status):.2f} s")
    counts.notes.append(f"/status at most {max(status) * 1000:.0f} ms")
    return counts


def json_bombs(stack: Field, dice: random.Random, *, at_once: int) -> Counts:
    """Bodies of 8 MiB that would become millions of objects, without a credential."""
    front = stack.ready()
    before = [Peak([pid]) for pid in group(stack.web.pid)]
    with others(front, stack) as calls, ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda n: _throw(stack, 2 + n), range(at_once)))
    grown = sum(each.growth() for each in before) / MIB
    counts = _counted(front, stack, calls)
    counts.expect(all(400 <= status < 500 for status in answers), f"they were answered {answers}")
    counts.expect(grown < 300, f"the web processes grew by {grown:.0f} MiB")
    counts.notes.append(f"{grown:.0f} MiB more")
    return counts


def reader_stops(stack: Field, dice: random.Random, *, rows: int) -> Counts:
    """A partner that stops reading its export of 100 MB; its next one can begin within 15 seconds."""
    front = stack.ready()
    with stack.database() as database:
        company = Partner(stack, database)
        company.has_been_sent(rows, subject="x" * 200)
    with (
        others(front, stack) as calls,
        closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)) as line,
    ):
        _export(line, company.token)
        answer = line.getresponse()  # kept: without it the connection would end, and the reader has gone
        assert len(answer.read(1024)) == 1024
        began = time.monotonic()
        assert wait_until(lambda: _may_export(stack, company.token), 20), "the slot is free again"
        took = time.monotonic() - began
    counts = _counted(front, stack, calls)
    counts.expect(5 < took < 15, f"its slot was taken for {took:.1f} s")
    counts.notes.append(f"free after {took:.1f} s")
    return counts


def login_drain(stack: Field, dice: random.Random, *, posters: int, seconds: float) -> Counts:
    """Wrong passwords without a pause, another name each time, from one address, at both doors."""
    front = stack.ready()
    until = time.monotonic() + seconds
    names = itertools.count()
    with others(front, stack) as calls, ThreadPoolExecutor(posters) as pool:
        trying = [pool.submit(_try_logins, stack, names, by_page=n % 2 == 0, until=until) for n in range(posters)]
        answers = Counter(status for each in trying for status in each.result())
    counts = _counted(front, stack, calls)
    counts.expect(set(answers) <= {200, 401, 403, 429}, f"they were answered {dict(answers)}")
    counts.notes.append(f"{answers.total()} logins tried, {answers[429]} refused at once")
    return counts


# --- what they do ---


def _connect(stack: Field, last: int, first: bytes = b"") -> socket.socket:
    """From 127.0.0.`last`: the kernel takes any address of the loopback network for a stranger's."""
    line = socket.create_connection(("127.0.0.1", stack.port), timeout=30, source_address=(f"127.0.0.{last}", 0))
    line.sendall(first)
    return line


def _drip(lines: list[socket.socket], *, every: float, until: float) -> None:
    while time.monotonic() < until:
        time.sleep(every)
        for line in lines:
            with suppress(OSError):
                line.sendall(b" ")


def _is_closed(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return line.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        line.setblocking(True)


def _status(stack: Field, last: int) -> float:
    """Seconds until `/status` has answered with 200."""
    began = time.monotonic()
    with closing(_connect(stack, last, b"GET /v1/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")) as line:
        assert line.recv(4096).startswith(b"HTTP/1.1 200"), "it answers"
    return time.monotonic() - began


def _throw(stack: Field, last: int) -> int:
    """Sends a bomb; the status of the answer."""
    source = (f"127.0.0.{last}", 0)
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60, source_address=source)) as line:
        line.request("POST", "/api/v1", BOMB, {"Content-Type": "application/json"})
        return line.getresponse().status


def _try_logins(stack: Field, names: Iterator[int], *, by_page: bool, until: float) -> list[int]:
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


def _export(line: http.client.HTTPConnection, token: str) -> None:
    body = {"token": token, "usuario": "M", "solicitud": "mensajes_enviados"}
    line.request("POST", "/api/v1", json.dumps(body), {"Content-Type": "application/json"})


def _may_export(stack: Field, token: str) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)) as line:
        _export(line, token)
        return line.getresponse().status == 200


# --- the others ---


@contextmanager
def others(front: Front, stack: Field) -> Iterator[list[tuple[int, float]]]:
    """Two front ends that ask for codes all the while; yields what each call was answered, and in how many seconds."""
    done = threading.Event()
    front.answers.clear()

    def ask() -> None:
        while not done.wait(0.02):
            front.ask()

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            yield front.answers
        finally:
            done.set()
            for each in asking:
                each.result()


def _were_served(calls: list[tuple[int, float]], what: str) -> None:
    complaints = _complaints(calls)
    assert not complaints, f"{what}: {'; '.join(complaints)}"


def _complaints(calls: list[tuple[int, float]]) -> list[str]:
    """What the others met that they should not: refusals, and waiting."""
    refused = [status for status, _ in calls if not 200 <= status < 300]
    slowest = max(seconds for _, seconds in calls)
    found = [f"{len(refused)} of {len(calls)} calls of others were refused, such as {refused[0]}"] if refused else []
    return found + ([f"another caller waited {slowest:.1f} s"] if slowest >= SLOWEST else [])


def _counted(front: Front, stack: Field, calls: list[tuple[int, float]]) -> Counts:
    """How the others were served, and what became of their messages."""
    made, slowest, complaints = len(calls), max(seconds for _, seconds in calls), _complaints(calls)
    counts = aftermath(front, stack)
    counts.wrong.extend(complaints)
    counts.notes.append(f"{made} calls of others, slowest {slowest:.2f} s")
    return counts
