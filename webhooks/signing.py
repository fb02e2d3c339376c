"""Secrets and signatures of webhooks. Source: Standard Webhooks 1.0, by the library `standardwebhooks`."""

import base64
import secrets
from datetime import datetime

from standardwebhooks.webhooks import Webhook

from clients import sealing

PURPOSE = "webhook-secret"
BYTES = 32
"""Bytes of a secret; the specification asks for 24 to 64."""


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def sealed(secret: str, *, owner: object) -> str:
    return sealing.seal(PURPOSE, secret.encode(), owner=str(owner))


def unsealed(text: str, *, owner: object) -> str:
    """Raises clients.sealing.CannotUnseal."""
    return sealing.unseal(PURPOSE, text, owner=str(owner)).decode()


def headers(webhook_id: str, body: str, secrets_: list[str], *, at: datetime) -> dict[str, str]:
    """Headers of a request, signed with each of the secrets; `at` is UTC."""
    signatures = [Webhook(secret).sign(webhook_id, at, body) for secret in secrets_]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
