from django.apps import AppConfig


class SupportConfig(AppConfig):
    name = "support"
    verbose_name = "Soporte"

    def ready(self) -> None:
        from external_api.partners import usage
        from support.usage import counting

        usage.register(counting.of_partner)
