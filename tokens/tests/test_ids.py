"""Codes and their messages have UUIDv7; people have UUIDv4, which does not tell when they registered."""

import pytest

from clients.models import Applicant
from conftest import NOW
from messaging.models import Message
from testkit.codes import request_code
from tokens.models import VerificationToken
from tokens.services import Origin


@pytest.mark.parametrize(("model", "version"), [(Message, 7), (VerificationToken, 7), (Applicant, 4)])
def test_the_default_of_a_row(model, version):
    assert model().pk.version == version


def test_a_code_that_is_asked_for_and_its_message(applicant):
    token = request_code(applicant.pk, via="S", phone="987654321", operator="CLARO", origin=Origin(), at=NOW)
    message = Message.objects.get(reference=token.pk)
    assert (token.pk.version, message.pk.version, applicant.pk.version) == (7, 7, 4)
