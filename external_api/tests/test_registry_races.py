"""Contract 3 in parallel: real threads and connections on PostgreSQL."""

import pytest

from clients.models import AuditEntry, ExternalClient
from conftest import EXTERNAL_CLIENT, Registrar, at_once

pytestmark = pytest.mark.django_db(transaction=True)


def entries():
    return AuditEntry.objects.filter(action__startswith="external_client").count()


@pytest.mark.parametrize("there_before", [False, True])
def test_20_at_once_get_the_same_id_and_make_one_row(registry, there_before):
    if there_before:
        Registrar(registry.jwt).register(first_name="Antes")
    answers = at_once([Registrar(registry.jwt).send] * 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert {answer.json()["content"]["client_id"] for answer in answers} == {str(ExternalClient.objects.get().pk)}
    assert len({answer.json()["header"]["event_id"] for answer in answers}) == 20
    assert entries() == 1 + there_before


def test_20_with_one_idempotency_key_have_one_effect(registry):
    def send():
        return Registrar(registry.jwt).post(EXTERNAL_CLIENT, **{"Idempotency-Key": "uno"})

    answers = at_once([send] * 20)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert (ExternalClient.objects.count(), entries()) == (1, 1)
