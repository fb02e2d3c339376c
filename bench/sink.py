"""SMTP sink: a server that accepts all mails and keeps only times of arrival, the floor for the cost of mail.

    python -m bench.sink     serves at PORT

Commands beside SMTP: XRESET clears its memory; XCOUNT answers the number of mails since and the times of the first and
last; XSEEN <address> answers the time of the newest mail for it; XMAIL answers the first mail in base64.
"""

import asyncio
import base64
import os
import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.harness import running_stack, serving
from testkit.stack import Stack, free_port

END_OF_MAIL = b"\r\n.\r\n"


class Count(NamedTuple):
    """Mails, and the seconds since 1970 of the first and of the last one."""

    mails: int
    first: float
    last: float

    @property
    def per_second(self) -> float:
        """Rate without the first mail, whose transfer began before its arrival."""
        return (self.mails - 1) / (self.last - self.first)


class Mailbox:
    """Mails since the last XRESET."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        self.count = Count(0, 0.0, 0.0)
        self.example = b""
        self.seen.clear()

    def add(self, mail: bytes, recipients: list[str]) -> None:
        now = time.time()
        self.example = self.example or mail
        self.count = Count(self.count.mails + 1, self.count.first or now, now)
        self.seen.update(dict.fromkeys(recipients, now))

    def answer(self, command: bytes, rest: str) -> bytes:
        match command:
            case b"XRESET":
                self.reset()
                return b"250 ok"
            case b"XCOUNT":
                return f"250 {self.count.mails} {self.count.first} {self.count.last}".encode()
            case b"XSEEN":
                return f"250 {self.seen[rest]}".encode() if rest in self.seen else b"550 not yet"
            case b"XMAIL":
                return b"250 " + base64.b64encode(self.example)
        return b"250 ok"


class Session(asyncio.Protocol):
    """Protocol of one connection."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.received = b""
        self.is_data = False
        self.recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.reply(b"220 sink ESMTP")

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (cut := self.received.find(END_OF_MAIL if self.is_data else b"\r\n")) >= 0:
            piece = self.received[:cut]
            self.received = self.received[cut + (len(END_OF_MAIL) if self.is_data else 2) :]
            if self.is_data:
                self.mailbox.add(piece, self.recipients)
                self.is_data, self.recipients = False, []
                self.reply(b"250 2.0.0 Ok: queued as 4XyZ12abc")
            else:
                self.handle_command(piece)

    def handle_command(self, line: bytes) -> None:
        command, _, rest = line.partition(b" ")
        match command.upper():
            case b"EHLO":
                self.reply(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
            case b"RCPT":
                found = re.search(rb"<(.+)>", rest)
                self.recipients.append(found[1].decode() if found else "")
                self.reply(b"250 ok")
            case b"DATA":
                self.is_data = True
                self.reply(b"354 go on")
            case b"QUIT":
                self.reply(b"221 bye")
                self.transport.close()
            case other:
                self.reply(self.mailbox.answer(other, rest.decode()))

    def reply(self, text: bytes) -> None:
        self.transport.write(text + b"\r\n")


class Sink:
    """Client of the sink's own commands."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.connection = smtplib.SMTP("127.0.0.1", port, local_hostname="bench")

    def reset(self) -> None:
        self.connection.docmd("XRESET")

    def count(self) -> Count:
        mails, first, last = self.connection.docmd("XCOUNT")[1].split()
        return Count(int(mails), float(first), float(last))

    def seen(self, address: str) -> float | None:
        """Arrival of the newest mail for this address, in seconds since 1970."""
        code, text = self.connection.docmd("XSEEN", address)
        return float(text) if code == 250 else None

    def example(self) -> bytes:
        """The first mail since the last reset as sent: lines end in CR LF, leading dots are doubled."""
        return base64.b64decode(self.connection.docmd("XMAIL")[1])


@contextmanager
def running_stack_with_sink(folder: Path) -> Iterator[tuple[Stack, Sink]]:
    """A running stack whose mail goes to a sink."""
    port = free_port()
    with ExitStack() as stopping:
        stack = stopping.enter_context(running_stack(folder, EMAIL_URL=f"smtp://127.0.0.1:{port}"))
        log = stack.folder / "logs" / "sink.log"
        _, pid = stopping.enter_context(serving("bench.sink", log, stack.environment, port=port))
        sink = Sink(port, pid)
        stopping.callback(sink.connection.close)
        yield stack, sink


async def serve() -> None:
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(mailbox), "127.0.0.1", int(os.environ["PORT"])
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
