from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Mensajes"

    def ready(self) -> None:
        """Make every gateway once, so that a wrong URL stops the start and not the first message."""
        from messaging.gateways import BadGatewayUrl, in_use

        try:
            in_use()
        except BadGatewayUrl as fault:
            raise ImproperlyConfigured(str(fault)) from None
