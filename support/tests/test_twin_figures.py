"""Test twins are in no figure that staff or partners read."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from clients.models import Applicant
from conftest import delivered_code
from messaging.models import Message
from support.dashboard import figures
from support.usage import counting
from tests.factories import MessageFactory, VerificationTokenFactory
from tokens.models import VerificationToken
from tokens.twins import clock

pytestmark = pytest.mark.django_db


def numbers():
    """What staff count: the dashboard's panels, and the usage of today."""
    at = timezone.now() + timedelta(seconds=1)
    today = counting._day(at)
    return json.dumps(
        [
            {name: panel(at=at) for name, panel in figures.PANELS.items()},
            sorted(map(str, counting.count_day(today).items())),
        ],
        default=str,
    )


def test_dashboard_and_usage_are_the_same_with_and_without_ten_thousand_codes(informa, twin, front):
    live = front.register(informa.headers)
    front.ask(live, informa.headers)
    delivered_code()
    before = numbers()
    person = Applicant.objects.get(pk=front.register(twin.headers))
    for batch in range(10):
        made = VerificationTokenFactory.build_batch(
            1000, applicant=person, twin=twin.partner, created_at=timezone.now(), outcome="EXPIRADO"
        )
        VerificationToken.objects.bulk_create(made)
        Message.objects.bulk_create(
            MessageFactory.build(
                partner=twin.partner,
                reference=each.pk,
                state=("FAILED", "QUEUED")[batch % 2],
                created_at=timezone.now(),
            )
            for each in made
        )
        connection.check_constraints()  # all at once at the end they take longer than a statement may
    front.ask(str(person.pk), twin.headers)
    assert numbers() == before
    assert counting.first_day() == counting._day(timezone.now())
    answer = Client().get("/partners/v1/usage", headers=twin.headers)
    assert answer.json()["rows"] == []


def test_rows_that_its_clock_made_old_are_no_days_to_count(informa, twin, front):
    front.ask(front.register(informa.headers), informa.headers)
    front.ask(front.register(twin.headers), twin.headers)
    for _ in range(3):
        assert clock.advance(twin.partner.pk, timedelta(days=30), at=timezone.now()) is None
    assert counting.first_day() == counting._day(timezone.now())
