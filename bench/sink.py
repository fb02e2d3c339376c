"""An SMTP server that takes everything and keeps nothing but when it came: the floor under what mail can cost.

    python -m bench.sink     serves at PORT, in a process of its own

Beside SMTP it answers to its own words: XRESET forgets; XCOUNT says how many mails came since, and when the first and
the last one did; XSEEN <address> says when the newest mail for it came; XMAIL gives the first mail, base64.
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

from bench.harness import serving, standing
from testkit.stack import Stack, free_port

END = b"\r\n.\r\n"


class Count(NamedTuple):
    """Mails, and the seconds since 1970 of the first and of the last one."""

    mails: int
    first: float
    last: float

    @property
    def per_second(self) -> float:
        """Without the first, which began before the clock."""
        return (self.mails - 1) / (self.last - self.first)


class Mailbox:
    """What came since the last XRESET."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.forget()

    def forget(self) -> None:
        self.count = Count(0, 0.0, 0.0)
        self.example = b""
        self.seen.clear()

    def take(self, mail: bytes, recipients: list[str]) -> None:
        now = time.time()
        self.example = self.example or mail
        self.count = Count(self.count.mails + 1, self.count.first or now, now)
        self.seen.update(dict.fromkeys(recipients, now))

    def answer(self, word: bytes, rest: str) -> bytes:
        match word:
            case b"XRESET":
                self.forget()
                return b"250 ok"
            case b"XCOUNT":
                return f"250 {self.count.mails} {self.count.first} {self.count.last}".encode()
            case b"XSEEN":
                return f"250 {self.seen[rest]}".encode() if rest in self.seen else b"550 not yet"
            case b"XMAIL":
                return b"250 " + base64.b64encode(self.example)
        return b"250 ok"


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.received = b""
        self.is_data = False
        self.recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.say(b"220 sink ESMTP")

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (cut := self.received.find(END if self.is_data else b"\r\n")) >= 0:
            piece = self.received[:cut]
            self.received = self.received[cut + (len(END) if self.is_data else 2) :]
            if self.is_data:
                self.mailbox.take(piece, self.recipients)
                self.is_data, self.recipients = False, []
                self.say(b"250 2.0.0 Ok: queued as 4XyZ12abc")
            else:
                self.hear(piece)

    def hear(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"EHLO":
                self.say(b"250-sink\r\n250 8BITMIME")
            case b"RCPT":
                found = re.search(rb"<(.+)>", rest)
                self.recipients.append(found[1].decode() if found else "")
                self.say(b"250 ok")
            case b"DATA":
                self.is_data = True
                self.say(b"354 go on")
            case b"QUIT":
                self.say(b"221 bye")
                self.transport.close()
            case other:
                self.say(self.mailbox.answer(other, rest.decode()))

    def say(self, reply: bytes) -> None:
        self.transport.write(reply + b"\r\n")


class Sink:
    """The server as a benchmark sees it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid
        self.line = smtplib.SMTP("127.0.0.1", port, local_hostname="bench")

    def reset(self) -> None:
        self.line.docmd("XRESET")

    def count(self) -> Count:
        mails, first, last = self.line.docmd("XCOUNT")[1].split()
        return Count(int(mails), float(first), float(last))

    def seen(self, address: str) -> float | None:
        """When the newest mail for this address came, in seconds since 1970."""
        code, reply = self.line.docmd("XSEEN", address)
        return float(reply) if code == 250 else None

    def example(self) -> bytes:
        """The first mail since the last reset, as it travelled: lines end in CR LF, dots are doubled."""
        return base64.b64decode(self.line.docmd("XMAIL")[1])


@contextmanager
def standing_with_sink(folder: Path) -> Iterator[tuple[Stack, Sink]]:
    """A stack whose mail goes to a server of this kind."""
    port = free_port()
    with ExitStack() as stopping:
        stack = stopping.enter_context(standing(folder, EMAIL_URL=f"smtp://127.0.0.1:{port}"))
        log = stack.folder / "logs" / "sink.log"
        _, pid = stopping.enter_context(serving("bench.sink", log, stack.environment, port=port))
        sink = Sink(port, pid)
        stopping.callback(sink.line.close)
        yield stack, sink


async def serve() -> None:
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(mailbox), "127.0.0.1", int(os.environ["PORT"])
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
