"""Bulk authorisation: each value arrives in its own row and column."""

from datetime import UTC, datetime

import pytest

from clients.authorized_clients import Authorization, authorize
from clients.models import AuthorizedClient
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
FULL = Authorization("zoe@dominio.com", "Zoé 'O\\Paz", "DNI", "12345678", "987654321", 'C,"1"', "{NULL}")
LEAST = Authorization("ana@dominio.com", "", "", "", "", "C-2", "NULL")


@pytest.mark.parametrize("rows", [[LEAST], [FULL], [FULL, LEAST], [LEAST, FULL]])
def test_each_value_is_stored_as_it_was_given_and_ids_follow_the_rows(rows):
    assert authorize(PartnerFactory(), rows, request_id=1, at=NOW) == set()
    assert list(AuthorizedClient.objects.order_by("id").values_list(*Authorization._fields)) == rows


def test_only_who_was_live_already_is_named():
    partner = PartnerFactory()
    authorize(partner, [LEAST], request_id=1, at=NOW)
    assert authorize(partner, [FULL, LEAST], request_id=2, at=NOW) == {LEAST.email}
    assert AuthorizedClient.objects.count() == 2


def test_a_value_with_a_line_break_is_refused_with_all_rows():
    odd = LEAST._replace(external_code="C-2\nC-3", profile="A\nB")
    with pytest.raises(ValueError, match="line break"):
        authorize(PartnerFactory(), [FULL, odd], request_id=1, at=NOW)
    assert not AuthorizedClient.objects.exists()
