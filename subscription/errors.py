"""Errors of the public subscription pages."""

from clients.errors import Refused
from subscription.consent import Offer


class UnusableLink(Refused):
    """Forged, expired, used, or no partner is left to subscribe to. The caller does not learn which."""


class TextHasChanged(Refused):
    """The text that would be stored as consent is not the one the person read: `offer` must be shown first."""

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self.offer = offer


class NothingChosen(Refused):
    """None of several companies was chosen: `offer` must be shown again."""

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self.offer = offer
