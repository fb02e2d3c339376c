"""Masking of destinations, alone and within texts, for staff who may not see them in full."""

from clients.identity.phones import COUNTRY_PREFIX, mask_email, mask_phone
from messaging.models import Via


def masked(via: str, destination: str) -> str:
    """`9•• ••• 321`, `j•••@dominio.com`."""
    return mask_email(destination) if via == Via.EMAIL else mask_phone(destination)


def masked_in(text: str, via: str, destination: str) -> str:
    """The text with every occurrence of the destination masked: providers repeat it in their replies."""
    if not destination:
        return text
    for spelling in (COUNTRY_PREFIX + destination, COUNTRY_PREFIX[1:] + destination, destination):
        text = text.replace(spelling, masked(via, destination))
    return text
