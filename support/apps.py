from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class SupportConfig(AppConfig):
    name = "support"
    verbose_name = "Soporte"

    def ready(self) -> None:
        user_logged_in.connect(_begin_session, dispatch_uid="a session of the staff begins")


def _begin_session(request: Any, **_: Any) -> None:
    """Whichever way somebody logged in. The staff API's login opens no session, and gets none."""
    from support import sessions

    sessions.begin_on_login(request)
