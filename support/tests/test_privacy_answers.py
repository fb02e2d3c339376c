"""Result of an erasure, also if a step after its commit fails."""

import logging

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import Client

import external_api.retention
from clients.models import Applicant, AuditEntry
from conftest import make_applicant
from support.privacy import erasure

pytestmark = pytest.mark.django_db


def test_an_erasure_succeeds_even_if_kept_answers_cannot_be_searched(monkeypatch, caplog):
    """The person is erased by then: a message that nothing was erased would be false, and a second try finds nobody."""
    ana = make_applicant()
    officer = User.objects.create_user("marta", is_staff=True)
    officer.user_permissions.set(Permission.objects.filter(codename__in=["use_desk", "erase_person"]))
    http = Client()
    http.force_login(officer)

    def too_slow(*_):
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(external_api.retention, "erase_answers", too_slow)
    with caplog.at_level(logging.ERROR):
        answer = http.post(
            f"/soporte/caso/cliente/{ana.pk}/datos/borrar/", {"motivo": "lo pidió", "confirmacion": "BORRAR"}
        )
    entry = AuditEntry.objects.get(action=erasure.ERASED)
    assert (answer.status_code, answer.headers.get("Location")) == (302, f"/soporte/borrado/{entry.pk}/")
    assert not Applicant.objects.exists()
    assert "kept answers" in caplog.text
