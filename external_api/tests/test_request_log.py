"""Request log: one row for each call, written by a statement of its own."""

from uuid import uuid4

import pytest

from conftest import NOW
from external_api.frontdoor import request_log
from external_api.models import ApiRequest

pytestmark = pytest.mark.django_db


def test_a_request_s_row_is_written_whole():
    row = {
        "contract": "informaperu",
        "partner_id": None,
        "user": "u",
        "action": "a",
        "status": 200,
        "code": "c",
        "address": "2001:db8::1",
        "duration_ms": 7,
        "subject": uuid4(),
        "successes": 1,
        "failures": 2,
    }
    request_log.write(id=None, at=NOW, **row)
    number = request_log.next_id()
    request_log.write(id=number, at=NOW, **row)
    first, second = ApiRequest.objects.order_by("pk")
    assert (second.pk, second.pk - first.pk) == (number, 1)
    for name, value in row.items():
        assert getattr(first, name) == getattr(second, name) == value
    assert first.created_at == NOW
