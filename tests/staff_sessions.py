"""Staff with a session in a stack, for browser tests. The rows are written as a login writes them.

A login by its pages, with a command that makes the user, takes two seconds of each test. The login itself is tested in
`tests/test_two_factor_in_the_browser.py`.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.crypto import get_random_string

from staff.session_store import SessionStore, row_of
from testkit.stack import Stack

NEW_USER = """
INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_active, is_superuser, date_joined)
VALUES (%s, %s, '', '', %s, true, true, false, %s) RETURNING id
"""
IN_ROLE = "INSERT INTO auth_user_groups (user_id, group_id) SELECT %s, id FROM auth_group WHERE name = %s RETURNING id"
NEW_SESSION = "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)"


def new_staff(stack: Stack, role: str) -> User:
    """Staff member of one role, no superuser, whose password nobody knows. The row is in the stack's database."""
    name, at = f"eva{stack.number()}", timezone.now()
    user = User(username=name, password=make_password(get_random_string(20)), email=f"{name}@example.com")
    ((user.pk,),) = stack.sql(NEW_USER, user.username, user.password, user.email, at)
    assert len(stack.sql(IN_ROLE, user.pk, role)) == 1, f"no role {role}"
    return user


def log_in(stack: Stack, page: Any, role: str = "", *, user: User | None = None, **more: Any) -> User:
    """Log a user in, in the page's context; without one, a new member of staff of the role. `more` goes into the
    session."""
    user, at = user or new_staff(stack, role), timezone.now()
    session = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
        "staff_began": at.timestamp(),
        "staff_seen": at.timestamp(),
        **more,
    }
    key = get_random_string(32)
    stack.sql(NEW_SESSION, row_of(key), SessionStore().encode(session), at + timedelta(hours=1))
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": stack.url}])
    return user
