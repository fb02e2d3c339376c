from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class StaffConfig(AppConfig):
    name = "staff"
    verbose_name = "Personal"

    def ready(self) -> None:
        from staff import login_audit  # noqa: F401  the import connects its receivers

        user_logged_in.connect(_begin_session, dispatch_uid="a session of the staff begins")


def _begin_session(request: Any, **_: Any) -> None:
    """Begin a session after any kind of login. The staff API's login opens no session."""
    from staff import sessions

    sessions.begin_on_login(request)
