"""Sandbox gateway, `sandbox://`: writes messages to the developer's outbox, with the code in clear, and sends none."""

from django.apps import apps
from django.utils import timezone

from messaging.gateways.base import Gateway, Outgoing, Receipt
from messaging.gateways.url import GatewayUrl


class SandboxGateway:
    """Gateway that writes a row for each message and never fails."""

    name = "sandbox"
    own_process = False

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        # By name: gateways are made before models may be imported, when the settings are checked at start-up.
        apps.get_model("messaging", "SandboxMessage")._default_manager.create(
            message_id=message.id,
            via=message.via,
            to=message.recipient,
            text=message.text_with(secret),
            created=timezone.now(),
        )
        return Receipt(provider_id=str(message.id), reply="sandbox")


def from_url(url: GatewayUrl, via: str) -> Gateway:
    if url.host or url.user or url.password or url.port or url.path:
        url.refuse("it is written sandbox:// and nothing else")
    url.allow_options()
    return SandboxGateway()
