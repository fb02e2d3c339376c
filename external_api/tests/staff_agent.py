"""Agent who reads by the staff API, and codes for them to find."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.test import Client

from external_api.informaperu.staff_tokens import issue_for
from messaging.models import Message
from testkit.codes import request_code
from tests.factories import StaffUserFactory
from tokens import services

BASE = "/v1/api/admin"
LISTS = (f"{BASE}/clients", f"{BASE}/messages")
NOON = datetime(2026, 2, 12, 17, 0, tzinfo=UTC)
"""12:00 in Lima."""


class Desk:
    """An agent with a token, over Django's test client."""

    def __init__(self, user):
        self.http = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {issue_for(user, at=datetime.now(UTC))}"}

    def get(self, path, **query):
        return self.http.get(path + ("?" + urlencode(query) if query else ""), headers=self.headers)

    def listed(self, what, **query):
        answer = self.get(f"{BASE}/{what}", **query)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def ids(self, what, **query):
        return [row["id"] for row in self.listed(what, **query)["data"]]


SEES_ALL = ("view_applicant", "view_verificationtoken", "view_message")


def member(name="ana", *rights):
    """One of the staff with these rights and no role."""
    user: User = StaffUserFactory(username=name, rights=rights)
    return user


def ask(applicant, *, at=NOON, via="S", phone="987654321", partner=None):
    """A code for the applicant and the message that carries it."""
    origin = services.Origin(partner)
    destination = {} if via == "C" else {"phone": phone, "operator": "CLARO"}
    token = request_code(applicant.pk, via=via, **destination, origin=origin, at=at)
    return token, Message.objects.get(reference=token.pk)
