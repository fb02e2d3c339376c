"""Verification of webhooks by the Standard Webhooks library."""

from collections.abc import Mapping
from typing import cast

import standardwebhooks

from aval_client.errors import WebhookVerificationError
from aval_client.shapes.partners import WebhookEvent


def verify_webhook(body: bytes | str, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """The event of a webhook. `body` is the raw body, `secret` the endpoint's `whsec_...`.

    Raises WebhookVerificationError for whatever is not signed with the secret, or not within five minutes. A webhook
    may come again: its `webhook-id` stays the same.
    """
    endpoint = standardwebhooks.Webhook(secret)
    try:
        return cast(WebhookEvent, endpoint.verify(body, dict(headers)))
    except (standardwebhooks.WebhookVerificationError, ValueError) as fault:  # ValueError: the header has no such form
        raise WebhookVerificationError(str(fault)) from fault
