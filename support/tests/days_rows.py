"""Rows of a day for the dashboard: codes, messages and requests."""

from datetime import UTC, datetime, timedelta

from clients.models import Applicant
from conftest import make_applicant
from tests.factories import ApiRequestFactory, MessageFactory, VerificationTokenFactory

AT = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
"""10:30 in Lima."""
HOSTILE = '<script>alert("x")</script>{{ 7|add:7 }}'


def token(at=AT, *, via="S", operator="CLARO", outcome="VALIDADO", took=20, who=None, rung=1, message="", **changes):
    row = VerificationTokenFactory(
        applicant=who or Applicant.objects.first() or make_applicant(),
        via=via,
        destination="987654321",
        operator=operator if via != "C" else "",
        created_at=at,
        outcome=outcome,
        finished_at=None if outcome == "PENDIENTE" else at + timedelta(seconds=took),
        rung=rung,
        **changes,
    )
    if message:
        sent(at, state=message, via=via, reference=row.pk)
    return row


def sent(at=AT, *, state="SENT", reply="", via="S", due=None, **changes):
    return MessageFactory(
        via=via, state=state, provider_reply=reply, created_at=at, next_attempt_at=due or at, **changes
    )


def call(at=AT, *, partner=None, contract="informaperu", status=200, ms=10):
    ApiRequestFactory(contract=contract, partner=partner, status=status, duration_ms=ms, created_at=at)
