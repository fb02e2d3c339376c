"""Fake SMTP server (aiosmtpd) that follows its control file.

    python -m chaos.mailbox     serves at PORT; JOURNAL and CONTROL name its files

Behaviours, one a mail: `ok`; `421`, `451`, `550` to RCPT; `silent` at RCPT; `silent_after` and `cut` when the mail is
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

from chaos.journal import Arrival, ControlFile, Journal

SILENCE_SECONDS = 60
"""Seconds without an answer; every caller has given up by then."""
ERROR_REPLIES = {
    "421": "421 4.3.2 The system is going down",
    "451": "451 4.7.1 Greylisted, come back later",
    "550": "550 5.1.1 No such user here",
}


class Mailbox:
    """An aiosmtpd handler."""

    def __init__(self, journal: Journal, control: ControlFile) -> None:
        self.journal, self.control = journal, control
        self.turn = itertools.count()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        control = self.control.read()
        envelope.behaviour = control["behaviours"][next(self.turn) % len(control["behaviours"])]
        envelope.slow = control["slow"]
        if envelope.behaviour == "silent":
            await asyncio.sleep(SILENCE_SECONDS)
        if envelope.behaviour in ERROR_REPLIES:
            return ERROR_REPLIES[envelope.behaviour]
        envelope.rcpt_tos.append(address)
        return "250 Ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        plain = mail.get_body(("plain",))
        ours = re.match(r"<([0-9a-f-]{36})@", mail["Message-ID"])
        text = plain.get_content() if plain else ""
        self.journal.write(Arrival(time.time(), ours[1] if ours else "", envelope.rcpt_tos[0], text, "mail"))
        if envelope.behaviour == "cut":
            server.transport.abort()
        if envelope.behaviour in ("cut", "silent_after"):
            await asyncio.sleep(SILENCE_SECONDS)
        await asyncio.sleep(envelope.slow)
        return "250 2.0.0 Ok: queued as 4XyZ12abc"


async def main() -> None:
    mailbox = Mailbox(Journal(Path(os.environ["JOURNAL"])), ControlFile(Path(os.environ["CONTROL"])))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, hostname="mx.example.com", enable_SMTPUTF8=True), "127.0.0.1", int(os.environ["PORT"])
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
