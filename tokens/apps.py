from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = "Códigos"

    def ready(self) -> None:
        from messaging.transitions import when_not_taken
        from tokens.settling import give_back

        when_not_taken(give_back)
