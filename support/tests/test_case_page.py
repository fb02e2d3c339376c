"""Page of a case: the same for every spelling of its URL, with the same number of queries however much is known."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.models import audit
from support.tests.privacy_cast import ANA, everywhere
from tests.factories import (
    ApiRequestFactory,
    ApplicantFactory,
    AuthorizedClientFactory,
    ConsentRecordFactory,
    LadderForgivenessFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    VerificationTokenFactory,
    superuser_browser,
)
from tokens.models import CodeTry

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief():
    return superuser_browser("jefa")


def test_a_case_says_whose_data_it_is_about_however_its_address_is_spelled(chief):
    rows = everywhere(ANA, slug="banco")
    plain = chief.get(f"/soporte/caso/cliente/{rows.applicant.pk}/").context["whose"]
    assert ANA.names in plain
    for spelled in (str(rows.applicant.pk).upper(), rows.applicant.pk.hex):
        assert chief.get(f"/soporte/caso/cliente/{spelled}/").context["whose"] == plain
    number = rows.client.pk
    assert chief.get(f"/soporte/caso/autorizado/0{number}/").context["whose"].startswith(f"{ANA.names} {ANA.surname}")


@pytest.mark.parametrize("key", ["1", "x", "-1", "9" * 30, "1_0", "00000000-0000-0000-0000-000000000001"])
@pytest.mark.parametrize("kind", ["cliente", "autorizado", "externo", "otro"])
def test_a_case_of_an_unknown_row_is_not_found(chief, kind, key):
    for path in ("", "datos/borrar/"):
        assert chief.get(f"/soporte/caso/{kind}/{key}/{path}").status_code == 404
    for path in ("mostrar/", "baja/", "datos/exportar/"):
        assert chief.post(f"/soporte/caso/{kind}/{key}/{path}", {"motivo": "porque sí"}).status_code == 404


def more_of_everything(number):
    """Make rows of the same person in every app, at another partner."""
    at = timezone.now() - timedelta(minutes=number)
    bank = PartnerFactory(name=f"Banco {number}", slug=f"banco-{number}")
    person = ApplicantFactory(
        partner=bank,
        document_number=ANA.document,
        names=ANA.names,
        paternal_surname=ANA.surname,
        email=ANA.email,
        created_at=at,
        updated_at=at + timedelta(seconds=1),
    )
    token = VerificationTokenFactory(applicant=person, destination=ANA.phone, created_at=at, outcome="EXPIRADO")
    CodeTry.objects.create(token=token, at=at, result="wrong")
    LadderForgivenessFactory(applicant=person, destination=ANA.phone, at=at)
    client = AuthorizedClientFactory(partner=bank, email=ANA.email, name=ANA.names, created_at=at, subscribed_at=at)
    for about in ({"reference": token.pk}, {"authorized_client": client}):
        sent = MessageFactory(
            sent=True, partner=bank, kind="alerta", via="C", recipient=ANA.email, created_at=at, **about
        )
        MessageEventFactory(message=sent, provider="p", detail="ok")
    ConsentRecordFactory(authorized_client=client, request=None, act="withdrawn", how="one_click", at=at)
    ApiRequestFactory(partner=bank, subject=person.pk, status=429, created_at=at)
    audit(client, "recipient.unmasked", at=at, by="eva", reason="llamó")


@pytest.mark.parametrize("kind", ["cliente", "autorizado"])
def test_a_case_takes_the_same_number_of_queries_however_much_is_known(chief, kind):
    rows = everywhere(ANA, slug="banco")
    more_of_everything(1)
    path = f"/soporte/caso/{kind}/{(rows.applicant if kind == 'cliente' else rows.client).pk}/"
    for extra in ("", "datos/borrar/"):
        chief.get(path + extra)
        with CaptureQueriesContext(connection) as few:
            assert chief.get(path + extra).status_code == 200
        for number in range(2, 9):
            more_of_everything(number + (100 if extra else 0))
        with CaptureQueriesContext(connection) as many:
            assert chief.get(path + extra).status_code == 200
        assert len(many) == len(few), extra or "the case"
