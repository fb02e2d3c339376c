from django.apps import AppConfig
from django.core import checks


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = "Códigos"

    def ready(self) -> None:
        from messaging.queue.transitions import when_not_taken
        from tokens.checks import check_sms_alphabet
        from tokens.sweeper import give_back

        when_not_taken(give_back)
        checks.register(check_sms_alphabet)
