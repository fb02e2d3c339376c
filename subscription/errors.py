"""What the client's door refuses."""

from clients.errors import Refused
from subscription.consent import Offer


class LinkIsDead(Refused):
    """Forged, expired, used, or no company is left that it could subscribe to. The caller is not told which."""


class TextHasChanged(Refused):
    """What would be stored as consent is not what the person read: `offer` must be shown first."""

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self.offer = offer
