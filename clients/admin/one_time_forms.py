"""Forms that may be sent once: reloading the page that shows a secret must not make a second one."""

import secrets

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

_TICKET = "credential_ticket"


def new_ticket(request: HttpRequest) -> str:
    ticket = request.session[_TICKET] = secrets.token_urlsafe(16)
    return ticket


def spend_ticket(request: HttpRequest) -> bool:
    """Whether the form has the ticket that the session has last given out, which ends with this call."""
    ticket = request.session.pop(_TICKET, None)
    return ticket is not None and constant_time_compare(ticket, request.POST.get("ticket", ""))
