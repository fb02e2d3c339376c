"""What a member of staff may see through the staff API: the same as in the browser.

The desk shows masked destinations to whoever may use it; the admin's pages show rows in full to whoever holds the view
right of their model.
"""

from enum import Enum

from django.contrib.auth.models import User

from external_api.informaperu.contract import StaffForbidden

USE_DESK = "support.use_desk"
CLIENTS, TOKENS, MESSAGES = "clients.view_applicant", "tokens.view_verificationtoken", "messaging.view_message"


class Sight(Enum):
    """How much of a row is shown."""

    FULL = "completo"
    MASKED = "tapado"
    NONE = "nada"


def sight_of(user: User, right: str) -> Sight:
    """How much of the rows that `right` opens this user sees."""
    if user.has_perm(right):
        return Sight.FULL
    return Sight.MASKED if user.has_perm(USE_DESK) else Sight.NONE


def required_sight(user: User, right: str) -> Sight:
    """As `sight_of`; raises StaffForbidden where that is nothing."""
    sight = sight_of(user, right)
    if sight is Sight.NONE:
        raise StaffForbidden
    return sight
