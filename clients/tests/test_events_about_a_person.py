"""Events about a person are found by an index, however many events there are."""

import pytest
from django.db import connection

from clients.events import sql
from clients.events.models import PartnerEvent
from clients.events.personal_data import OF_AN_AUTHORIZATION, Subjects
from tests.plans import drop_other_indexes

pytestmark = pytest.mark.django_db


def test_an_erasure_reads_no_event_of_others():
    params = {"ids": ["a"], "authorizations": ["1"], "types": [str(each) for each in OF_AN_AUTHORIZATION]}
    with connection.cursor() as cursor:
        drop_other_indexes(cursor, "events_about_a_subject")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql.ERASE_DESTINATIONS}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert plan.count("Index Cond: ((subject)::text = ANY") == 2, plan


def test_no_query_has_more_subjects_than_one_may_have():
    pieces = Subjects([f"{number}" for number in range(25)], ["1"]).pieces(10)
    assert len(pieces) == 4
    assert all(PartnerEvent.objects.filter(each).count() == 0 for each in pieces)
