"""A provider's HTTP API in a process of its own, Twilio's and Meta's, that behaves as its orders say.

    python -m chaos.provider     serves at PORT; BOOK, ORDERS (files), AVAL_URL, PUBLIC_URL and the keys it signs with

| mood         | the message is taken | the answer                                      |
|--------------|----------------------|-------------------------------------------------|
| `ok`         | yes                  | 201, after `slow` seconds                       |
| `accepted`   | yes                  | 202 with a body that is no JSON                 |
| `throttled`  | no                   | 429 with Retry-After                            |
| `away`       | no                   | 503                                             |
| `broken`     | yes: the worst case  | 500                                             |
| `silent`     | yes                  | none, until we hang up                          |
| `hold`       | yes                  | 201, as soon as the orders change               |
| `cut_before` | no                   | a reset before the body was read                |
| `cut_after`  | yes                  | a reset after the whole request was read        |
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import os
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from chaos.logbook import Arrival, Logbook, Orders

NOT_TAKEN = {"throttled": 429, "away": 503}
LOOK = 0.01
"""Seconds between two looks at the orders of a held answer."""


class Asked(NamedTuple):
    """What a request asks to be sent, and where its reports go."""

    message: str
    to: str
    text: str
    sid: str
    callback: str  # the path below our address; empty: none


class Provider:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.name = environment["NAME"]
        self.book = Logbook(Path(environment["BOOK"]))
        self.orders = Orders(Path(environment["ORDERS"]))
        self.aval, self.public = environment["AVAL_URL"], environment["PUBLIC_URL"]
        self.token, self.account = environment["TWILIO_TOKEN"], environment["TWILIO_SID"]
        self.app_secret = environment["WHATSAPP_APP_SECRET"]
        self.turn = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            orders = self.orders.read()
            mood = orders["moods"][next(self.turn) % len(orders["moods"])]
            if mood == "cut_before":
                writer.transport.abort()
                return
            path = head.split(" ", 2)[1]
            body = (await reader.readexactly(_length(head))).decode()
            await self.answer(mood, orders, asked(path, body), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # who was asking has died: that is what is tested
        finally:
            writer.close()

    async def answer(
        self,
        mood: str,
        orders: Mapping[str, Any],
        it: Asked,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if mood in NOT_TAKEN:
            say(writer, NOT_TAKEN[mood], '{"code": 0, "message": "later"}', orders["retry_after"])
            return
        self.book.write(Arrival(time.time(), it.message, it.to, it.text, self.name))
        if mood == "cut_after":
            writer.transport.abort()
            return
        if mood == "silent":
            await reader.read()
            return
        if mood == "hold":
            while self.orders.read()["given"] == orders["given"]:
                await asyncio.sleep(LOOK)
        await asyncio.sleep(orders["slow"])
        if orders["receipts"] == "early":
            await self.report(it, "delivered")
        if mood == "broken":
            say(writer, 500, '{"code": 20500, "message": "internal"}')
        elif mood == "accepted":
            say(writer, 202, "thanks")
        else:
            made = {"sid": it.sid, "status": "queued", "messages": [{"id": it.sid}]}
            say(writer, 201, json.dumps(made))
        await writer.drain()
        for status in {"twice": ["delivered"] * 2, "unordered": ["delivered", "sent", "delivered"]}.get(
            orders["receipts"], []
        ):
            await self.report(it, status)

    async def report(self, it: Asked, status: str) -> None:
        await asyncio.to_thread(self._post, it, status)

    def _post(self, it: Asked, status: str) -> None:
        """As the provider would, signed for the address it was given, to where we really are. Tries for 20 s."""
        if it.callback:
            path, form = it.callback, {"AccountSid": self.account, "MessageSid": it.sid, "MessageStatus": status}
            body = urlencode(form).encode()
            signed = RequestValidator(self.token).compute_signature(self.public + path, form)
            headers = {"X-Twilio-Signature": signed, "Content-Type": "application/x-www-form-urlencoded"}
        else:
            path, told = "/recibos/whatsapp", {"id": it.sid, "status": status, "biz_opaque_callback_data": it.message}
            body = json.dumps({"entry": [{"changes": [{"value": {"statuses": [told]}}]}]}).encode()
            made = hmac.new(self.app_secret.encode(), body, hashlib.sha256).hexdigest()
            headers = {"X-Hub-Signature-256": f"sha256={made}", "Content-Type": "application/json"}
        headers["Host"] = urlsplit(self.public).netloc
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(urllib.request.Request(self.aval + path, body, headers), timeout=10).close()
                return
            except OSError as fault:  # 503 while the database is away, and everything below HTTP
                print(f"report not taken: {fault}", flush=True)
                time.sleep(0.5)


def asked(path: str, body: str) -> Asked:
    if path.endswith("/messages"):  # Meta's
        sent = json.loads(body)
        code = sent["template"]["components"][0]["parameters"][0]["text"]
        return Asked(sent["biz_opaque_callback_data"], sent["to"][-9:], code, f"wamid.{uuid.uuid4().hex}", "")
    form = {name: values[0] for name, values in parse_qs(body).items()}
    callback = urlsplit(form["StatusCallback"]).path
    sid = f"SM{uuid.uuid4().hex}"
    return Asked(callback.rpartition("/")[2], form["To"][-9:], form.get("Body", ""), sid, callback)


def say(writer: asyncio.StreamWriter, status: int, body: str, retry_after: int | None = None) -> None:
    later = f"Retry-After: {retry_after}\r\n" if retry_after is not None else ""
    writer.write(
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{later}"
        f"Connection: close\r\n\r\n{body}".encode()
    )


def _length(head: str) -> int:
    lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return int(lines.get("content-length", 0))


async def main() -> None:
    server = await asyncio.start_server(
        Provider(os.environ).serve, "127.0.0.1", int(os.environ["PORT"]), backlog=512, family=socket.AF_INET
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
