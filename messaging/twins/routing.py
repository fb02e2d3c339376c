"""Routing: the gateways that a message may go by. The one place that knows of twins."""

from collections.abc import Sequence

from clients.twins import is_twin
from messaging.gateways import gateways_for
from messaging.gateways.base import Gateway
from messaging.models import Message
from messaging.twins.sandbox import GATEWAYS


def gateways_of(message: Message) -> Sequence[Gateway]:
    """Gateways of a message, the preferred one first: those of the settings, or of a test twin its own, whatever the
    settings say. Empty: its via is not offered."""
    return GATEWAYS if is_twin(message.partner_id) else gateways_for(message.via)


def gateways_of_bulletins() -> Sequence[Gateway]:
    """Gateways of bulletins and alerts, which leave by mail and which test twins do not get."""
    return gateways_for("C")
