"""An SMTP server in a process of its own (aiosmtpd), that behaves as its orders say.

    python -m chaos.mailbox     serves at PORT; BOOK and ORDERS name its files

Moods, a mail each: `ok`; `421`, `451`, `550` to RCPT; `silent` at RCPT; `silent_after` and `cut` when the mail is
there.
"""

import asyncio
import itertools
import os
import re
import time
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from chaos.logbook import Arrival, Logbook, Orders

PATIENCE = 60
"""Seconds of a silence; whoever waits for an answer has hung up by then."""
REFUSALS = {
    "421": "421 4.3.2 The system is going down",
    "451": "451 4.7.1 Greylisted, come back later",
    "550": "550 5.1.1 No such user here",
}


class Mailbox:
    """An aiosmtpd handler."""

    def __init__(self, book: Logbook, orders: Orders) -> None:
        self.book, self.orders = book, orders
        self.turn = itertools.count()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        orders = self.orders.read()
        envelope.mood = orders["moods"][next(self.turn) % len(orders["moods"])]
        envelope.slow = orders["slow"]
        if envelope.mood == "silent":
            await asyncio.sleep(PATIENCE)
        if envelope.mood in REFUSALS:
            return REFUSALS[envelope.mood]
        envelope.rcpt_tos.append(address)
        return "250 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        plain = mail.get_body(("plain",))
        ours = re.match(r"<([0-9a-f-]{36})@", mail["Message-ID"])
        text = plain.get_content() if plain else ""
        self.book.write(Arrival(time.time(), ours[1] if ours else "", envelope.rcpt_tos[0], text, "mail"))
        if envelope.mood == "cut":
            server.transport.abort()
        if envelope.mood in ("cut", "silent_after"):
            await asyncio.sleep(PATIENCE)
        await asyncio.sleep(envelope.slow)
        return "250 2.0.0 Ok: queued as 4XyZ12abc"


async def main() -> None:
    mailbox = Mailbox(Logbook(Path(os.environ["BOOK"])), Orders(Path(os.environ["ORDERS"])))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, hostname="mx.example.com", enable_SMTPUTF8=True), "127.0.0.1", int(os.environ["PORT"])
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
