"""Page of service levels: each day beside its objectives, for those who may see the rows."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clients.local_time import LIMA
from metrics.models import ServiceDay
from support.dashboard.service_levels import percent
from tests.factories import staff_browser

pytestmark = pytest.mark.django_db
PAGE = "/admin/servicio/"


def day(ago=0, **fields):
    today = timezone.now().astimezone(LIMA).date()
    figures = {"codes": 1000, "within_2s": 995, "within_10s": 1000, "calls": 20_000, "faults": 0}
    figures |= {"mails": 0, "bounces": 0, "complaints": 0, **fields}
    return ServiceDay.objects.create(day=today - timedelta(days=ago), **figures)


def shown():
    return staff_browser(roles=("Auditores",)).get(PAGE).content.decode()


def test_a_day_is_shown_with_its_shares():
    day(faults=3)
    text = shown()
    assert all(each in text for each in ("1,000", "20,000", "99.50 %", "100.00 %", "0.015 %"))
    assert "no alcanzado" not in text


@pytest.mark.parametrize("missed", [{"within_2s": 989}, {"within_10s": 998}, {"faults": 10}])
def test_an_objective_that_was_missed_is_named(missed):
    day(**missed)
    assert shown().count("no alcanzado") == 1


def test_a_day_without_calls_shows_no_share():
    day(calls=0, codes=0, within_2s=0, within_10s=0)
    assert shown().count("—") >= 3


def test_days_before_the_last_sixty_are_left_out():
    old = day(60)
    assert f"{old.day:%d/%m/%Y}" not in shown()


def test_the_first_page_leads_there_for_those_who_may_see_it():
    assert PAGE in staff_browser(roles=("Operaciones",), name="uno").get("/admin/").content.decode()
    assert staff_browser(roles=("Soporte",), name="dos").get(PAGE).status_code == 403


@pytest.mark.parametrize(("share", "text"), [(0.99, "99.00 %"), (0.98999, "98.99 %"), (1.0, "100.00 %")])
def test_a_share_is_never_rounded_up(share, text):
    assert percent(share, 2) == text
