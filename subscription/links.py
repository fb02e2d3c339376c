"""Links that are sent to a mailbox. Their token is signed and names its request; it is stored nowhere.

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
_managing = signing.Signer(sep=".", salt="subscription.manage")


def confirmation_token(request_id: UUID) -> str:
    return _signer.sign(request_id.hex)


def managing_token(request_id: UUID) -> str:
    return _managing.sign(request_id.hex)


def request_of(token: str) -> UUID:
    """The request a confirmation token names; its row knows whether it is still open. Raises UnusableLink."""
    return _unsigned(_signer, token)


def managed_request_of(token: str) -> UUID:
    """The request that the token of a page of subscriptions names. Raises UnusableLink."""
    return _unsigned(_managing, token)


def _unsigned(signer: signing.Signer, token: str) -> UUID:
    try:
        return UUID(hex=signer.unsign(token))
    except (signing.BadSignature, ValueError):
        raise UnusableLink from None


def confirmation_url(token: str) -> str:
    """URL of the link's page. `token` is a token, or its mask in a message's text, which must not be quoted."""
    return _url("subscription_confirm", token)


def managing_url(token: str) -> str:
    """URL of the page of subscriptions; `token` as in `confirmation_url`."""
    return _url("subscription_manage", token)


def _url(name: str, token: str) -> str:
    path = reverse(name, args=["TOKEN"]).replace("TOKEN", token)
    return f"{settings.PUBLIC_URL}{path}"
