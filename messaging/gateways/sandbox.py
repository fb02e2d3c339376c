"""Sandbox gateway, `sandbox://`: writes messages to the developer's outbox, with the code in clear, and sends none."""

import json
from collections.abc import Sequence

from django.db import connection
from django.utils import timezone

from clients.postgresql import exchange
from messaging.gateways.base import Gateway, Outgoing, Receipt
from messaging.gateways.url import GatewayUrl
from messaging.group_commit import GroupCommit
from messaging.sandbox_sql import ADD_MESSAGES

Row = dict[str, str]


class SandboxGateway:
    """Gateway that writes a row for each message and never fails."""

    name = "sandbox"
    own_process = False

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        row = {
            "message_id": str(message.id),
            "via": message.via,
            "to": message.recipient,
            "text": message.text_with(secret),
            "created": timezone.now().isoformat(),
        }
        if connection.in_atomic_block:  # mail to staff from a page: it is taken once that commits
            _write([row])
        else:
            _group.add(row)
        return Receipt(provider_id=str(message.id), reply="sandbox")


def _write(rows: Sequence[Row]) -> None:
    exchange((ADD_MESSAGES, {"rows": json.dumps(rows)}))


_group = GroupCommit(_write)


def from_url(url: GatewayUrl, via: str) -> Gateway:
    if url.host or url.user or url.password or url.port or url.path:
        url.refuse("it is written sandbox:// and nothing else")
    url.allow_options()
    return SandboxGateway()
