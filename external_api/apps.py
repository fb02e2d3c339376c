from django.apps import AppConfig


class ExternalApiConfig(AppConfig):
    name = "external_api"
    verbose_name = "API de empresas"

    def ready(self) -> None:
        from anymail.signals import tracking

        from external_api.receipts import mail

        tracking.connect(mail.record_tracking_event, dispatch_uid="aval.receipts")
