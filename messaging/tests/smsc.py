"""Scripted SMSC for tests: one script for each connection, to misbehave in the ways that real ones do.

Both sides use smpplib's PDUs here. An independent SMSC is used in tests/test_smpp_simulator.py.
"""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from smpplib import smpp

from messaging.gateways import gateway_from_url
from messaging.models import Message
from messaging.smpp.bind import Bind
from messaging.smpp.pdus import pdu
from messaging.smpp.timing import Timing
from messaging.tests.queued import queue

FAST = Timing(
    poll=0.01,
    connect=0.5,
    answer=0.4,
    idle=0.2,
    late=5.0,
    throttled=0.2,
    unbind=0.2,
    stable_after=0.15,
    first_backoff=0.02,
    max_backoff=0.1,
    check_every=0.03,
)
PHONE = "51987654321"


class Peer:
    """The SMSC's end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(5)
        self.numbers = iter(range(1, 1000))

    def next(self):
        """The next PDU of any kind; None once the connection has ended."""
        head = self._exactly(4)
        if head is None:
            return None
        raw = head + self._exactly(struct.unpack(">L", head)[0] - 4)
        return smpp.parse_pdu(raw, sequence=0, allow_unknown_opt_params=True)

    def read(self, command: str):
        """The next PDU of this kind. Every enquire_link before it is answered."""
        while (got := self.next()) is not None:
            if got.command == command:
                return got
            assert got.command == "enquire_link", got.command
            self.send("enquire_link_resp", got.sequence)
        raise AssertionError(f"the connection ended before a {command}")

    def send(self, command: str, sequence: int | None = None, status: int = 0, **fields) -> None:
        self.raw(pdu(command, next(self.numbers) if sequence is None else sequence, status, **fields))

    def raw(self, octets: bytes) -> None:
        self.connection.sendall(octets)

    def accept_bind(self, status: int = 0):
        bind = self.next()
        self.send(f"{bind.command}_resp", bind.sequence, status)
        return bind

    def accept(self, name: str):
        """Accept the next submit with this message id."""
        submit = self.read("submit_sm")
        self.send("submit_sm_resp", submit.sequence, message_id=name)
        return submit

    def receipt(self, text: str, **fields) -> None:
        self.send(
            "deliver_sm", esm_class=4, source_addr=PHONE, destination_addr="AVAL", short_message=text.encode(), **fields
        )

    def keep_alive(self) -> list[str]:
        """Answer enquire_link and unbind until the client disconnects. Returns the commands of all other PDUs."""
        others = []
        with suppress(OSError):
            while (got := self.next()) is not None:
                if got.command in ("enquire_link", "unbind"):
                    self.send(f"{got.command}_resp", got.sequence)
                else:
                    others.append(got.command)
        return others

    def _exactly(self, count: int) -> bytes | None:
        octets = b""
        while len(octets) < count:
            part = self.connection.recv(count - len(octets))
            if not part:
                return None
            octets += part
        return octets


Script = Callable[[Peer], object]


@contextmanager
def smsc(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run the SMSC and yield its port. Each connection follows the next script and is closed at the end of it.

    After the last one further connections are refused. An error in a script fails the test.
    """
    faults: list[BaseException] = []

    def run() -> None:
        for number, script in enumerate(scripts):
            with suppress(OSError):
                connection, _ = listener.accept()
                if number == len(scripts) - 1:
                    listener.close()
                connection.settimeout(5)
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                with connection:
                    try:
                        script(Peer(connection))
                    except BaseException as fault:  # noqa: BLE001  raised below
                        faults.append(fault)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.settimeout(10)
        thread = threading.Thread(target=run, daemon=True)
        port = listener.getsockname()[1]
        thread.start()
        yield port
    thread.join(10)
    assert not thread.is_alive(), "the script still waits for something"
    if faults:
        raise faults[0]


def url(port: int, options: str = "") -> str:
    return f"smpp://aval:hunter2@127.0.0.1:{port}/?sender=AVAL{options}"


def waiting(gateway, **changes) -> Message:
    """A message that a worker has put into the gateway's queue."""
    message = queue(**changes)
    Message.objects.filter(pk=message.pk).update(gateway_queue=gateway.name)
    return message


class Until:
    """Event that stops a bind once the condition holds. Fails the test if that takes longer than `seconds`."""

    def __init__(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        self.condition = condition
        self.deadline = time.monotonic() + seconds
        self.over = False

    def is_set(self) -> bool:
        self.over = self.over or bool(self.condition())
        assert self.over or time.monotonic() < self.deadline, "not in time"
        return self.over

    def wait(self, seconds: float) -> bool:
        if not self.is_set():
            time.sleep(seconds)
        return self.is_set()


def serve(gateway, condition: Callable[[], object], timing: Timing = FAST) -> None:
    """Run the bind in this thread, and so in this test's transaction, until the condition holds."""
    Bind(gateway, Until(condition), timing).run()


def gateway_at(port: int, settings, options: str = ""):
    """Make the only gateway for SMS of this test."""
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "S": (url(port, options),)}
    return gateway_from_url(url(port, options), "S")


def state(message: Message) -> str:
    return str(Message.objects.values_list("state", flat=True).get(pk=message.pk))
