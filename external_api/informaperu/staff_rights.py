"""Rights of staff in the staff API: the same as in the browser.

The desk shows masked destinations to users with its permission; the admin's pages show rows in full to users with the
view permission of their model.
"""

from enum import Enum

from django.contrib.auth.models import User

from external_api.informaperu.contract import StaffForbidden

USE_DESK = "support.use_desk"
CLIENTS, TOKENS, MESSAGES = "clients.view_applicant", "tokens.view_verificationtoken", "messaging.view_message"


class Visibility(Enum):
    """Part of a row that is shown."""

    FULL = "completo"
    MASKED = "tapado"
    NONE = "nada"


def visibility_of(user: User, right: str) -> Visibility:
    """Visibility, for this user, of the rows that `right` opens."""
    if user.has_perm(right):
        return Visibility.FULL
    return Visibility.MASKED if user.has_perm(USE_DESK) else Visibility.NONE


def required_visibility(user: User, right: str) -> Visibility:
    """As `visibility_of`. Raises StaffForbidden where it is NONE."""
    visibility = visibility_of(user, right)
    if visibility is Visibility.NONE:
        raise StaffForbidden
    return visibility
