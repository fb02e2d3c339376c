"""Confirmation links. Their token is signed and names its request; it is stored nowhere.

The unsubscribe link is made by the campaign that carries it (`messaging.campaigns.rendering`), from
`clients.email_subscriptions`.
"""

from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from subscription.errors import UnusableLink

# A dot, not Django's colon: every mail program takes it for a part of the link.
_signer = signing.Signer(sep=".", salt="subscription.confirm")


def confirmation_token(request_id: UUID) -> str:
    return _signer.sign(request_id.hex)


def request_of(token: str) -> UUID:
    """The request a confirmation token names; its row knows whether it is still open. Raises UnusableLink."""
    try:
        return UUID(hex=_signer.unsign(token))
    except (signing.BadSignature, ValueError):
        raise UnusableLink from None


def confirmation_url(token: str) -> str:
    """URL of the link's page. `token` is a token, or its mask in a message's text, which must not be quoted."""
    path = reverse("subscription_confirm", args=["TOKEN"]).replace("TOKEN", token)
    return f"{settings.PUBLIC_URL}{path}"
