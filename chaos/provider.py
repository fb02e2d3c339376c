"""Fake provider with the HTTP APIs of Twilio and Meta that follows its control file.

    python -m chaos.provider     serves at PORT; JOURNAL, CONTROL (files), AVAL_URL, PUBLIC_URL and its signing keys

| behaviour    | the message is taken | the answer                                      |
|--------------|----------------------|-------------------------------------------------|
| `ok`         | yes                  | 201, after `slow` seconds                       |
| `accepted`   | yes                  | 202 with a body that is no JSON                 |
| `throttled`  | no                   | 429 with Retry-After                            |
| `away`       | no                   | 503                                             |
| `broken`     | yes: the worst case  | 500                                             |
| `silent`     | yes                  | none, until we hang up                          |
| `hold`       | yes                  | 201, as soon as the file changes                |
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

from chaos.journal import Arrival, ControlFile, Journal

NOT_TAKEN = {"throttled": 429, "away": 503}
POLL_SECONDS = 0.01
"""Seconds between two reads of the control file while an answer is held."""


class SendRequest(NamedTuple):
    """A message to send, and the path that its receipts go to."""

    message: str
    to: str
    text: str
    sid: str
    callback: str  # a path of ours; empty for none


class Provider:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.name = environment["NAME"]
        self.journal = Journal(Path(environment["JOURNAL"]))
        self.control = ControlFile(Path(environment["CONTROL"]))
        self.aval, self.public = environment["AVAL_URL"], environment["PUBLIC_URL"]
        self.token, self.account = environment["TWILIO_TOKEN"], environment["TWILIO_SID"]
        self.app_secret = environment["WHATSAPP_APP_SECRET"]
        self.turn = itertools.count()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            control = self.control.read()
            behaviour = control["behaviours"][next(self.turn) % len(control["behaviours"])]
            if behaviour == "cut_before":
                writer.transport.abort()
                return
            path = head.split(" ", 2)[1]
            body = (await reader.readexactly(_length(head))).decode()
            await self.answer(behaviour, control, parse(path, body), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller was killed, as the scenario wants
        finally:
            writer.close()

    async def answer(
        self,
        behaviour: str,
        control: Mapping[str, Any],
        request: SendRequest,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if behaviour in NOT_TAKEN:
            write_response(writer, NOT_TAKEN[behaviour], '{"code": 0, "message": "later"}', control["retry_after"])
            return
        self.journal.write(Arrival(time.time(), request.message, request.to, request.text, self.name))
        if behaviour == "cut_after":
            writer.transport.abort()
            return
        if behaviour == "silent":
            await reader.read()
            return
        if behaviour == "hold":
            while self.control.read()["set_at"] == control["set_at"]:
                await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(control["slow"])
        if control["receipts"] == "early":
            await self.report(request, "delivered")
        if behaviour == "broken":
            write_response(writer, 500, '{"code": 20500, "message": "internal"}')
        elif behaviour == "accepted":
            write_response(writer, 202, "thanks")
        else:
            made = {"sid": request.sid, "status": "queued", "messages": [{"id": request.sid}]}
            write_response(writer, 201, json.dumps(made))
        await writer.drain()
        for status in {"twice": ["delivered"] * 2, "unordered": ["delivered", "sent", "delivered"]}.get(
            control["receipts"], []
        ):
            await self.report(request, status)

    async def report(self, request: SendRequest, status: str) -> None:
        await asyncio.to_thread(self._post, request, status)

    def _post(self, request: SendRequest, status: str) -> None:
        """Send a receipt to our real address, signed for the public one. Retries for 20 s."""
        if request.callback:
            path = request.callback
            form = {"AccountSid": self.account, "MessageSid": request.sid, "MessageStatus": status}
            body = urlencode(form).encode()
            signed = RequestValidator(self.token).compute_signature(self.public + path, form)
            headers = {"X-Twilio-Signature": signed, "Content-Type": "application/x-www-form-urlencoded"}
        else:
            path = "/recibos/whatsapp"
            status_update = {"id": request.sid, "status": status, "biz_opaque_callback_data": request.message}
            body = json.dumps({"entry": [{"changes": [{"value": {"statuses": [status_update]}}]}]}).encode()
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


def parse(path: str, body: str) -> SendRequest:
    if path.endswith("/messages"):  # Meta's
        sent = json.loads(body)
        code = sent["template"]["components"][0]["parameters"][0]["text"]
        return SendRequest(sent["biz_opaque_callback_data"], sent["to"][-9:], code, f"wamid.{uuid.uuid4().hex}", "")
    form = {name: values[0] for name, values in parse_qs(body).items()}
    callback = urlsplit(form["StatusCallback"]).path
    sid = f"SM{uuid.uuid4().hex}"
    return SendRequest(callback.rpartition("/")[2], form["To"][-9:], form.get("Body", ""), sid, callback)


def write_response(writer: asyncio.StreamWriter, status: int, body: str, retry_after: int | None = None) -> None:
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
