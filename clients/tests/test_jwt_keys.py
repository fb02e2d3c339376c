"""JWTs when their key changes: which are accepted, by which key, and what a row knows of it."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from clients import jwt_keys
from clients.credentials import authenticate, issue
from clients.errors import CredentialRefused
from clients.models import Credential
from conftest import forged
from tests.factories import PartnerFactory
from tests.secret_keys import NEW, OLD, use_secrets

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
"""The time of these tests: the expiry in a JWT is checked by the real clock."""


@pytest.fixture
def issued(settings):
    """A JWT that was issued under the former key."""
    use_secrets(settings, OLD)
    return issue(PartnerFactory(), "jwt", at=NOW, by="ana")


def refused(raw):
    with pytest.raises(CredentialRefused):
        authenticate(raw, at=NOW)
    return True


def test_a_jwt_names_its_key_and_its_row_does_too(issued):
    _, secret = issued
    kid = jwt.get_unverified_header(secret)["kid"]
    assert kid == jwt_keys.newest_kid() == Credential.objects.get().kid
    assert len(kid) == jwt_keys.KID_LENGTH
    assert not any(kid in each for each in jwt_keys.settings.JWT_KEYS), "the name tells nothing of the key"


def test_a_jwt_of_a_former_key_works_until_the_key_is_gone(issued, settings):
    credential, secret = issued
    use_secrets(settings, NEW, OLD)
    assert authenticate(secret, at=NOW) == credential
    _, newer = issue(credential.partner, "jwt", at=NOW, by="ana")
    use_secrets(settings, NEW)
    assert refused(secret)
    assert authenticate(newer, at=NOW)


def test_a_process_with_the_old_key_first_takes_a_jwt_of_the_next_one(issued, settings):
    use_secrets(settings, NEW, OLD)
    _, secret = issue(issued[0].partner, "jwt", at=NOW, by="ana")
    use_secrets(settings, OLD, NEW)
    assert authenticate(secret, at=NOW)


def test_a_jwt_without_a_name_is_tried_with_every_key(issued, settings):
    credential, _ = issued
    Credential.objects.update(kid="")
    unnamed = forged(credential, at=NOW)
    assert "kid" not in jwt.get_unverified_header(unnamed)
    former = jwt_keys.newest_kid()
    use_secrets(settings, NEW, "another secret of more than thirty-two characters", OLD)
    assert authenticate(unnamed, at=NOW) == credential
    assert Credential.objects.get().kid == former, "its first use says which key it needs"


def test_the_name_of_a_key_does_not_open_without_its_signature(issued, settings):
    credential, _ = issued
    use_secrets(settings, NEW, OLD)
    former = jwt_keys.known_kids()[1]
    for kid in (former, jwt_keys.newest_kid(), "unknown", ""):
        assert refused(forged(credential, at=NOW, key="x" * 40, headers={"kid": kid})), kid
    assert refused(forged(credential, at=NOW, key=settings.JWT_KEYS[1], headers={"kid": "unknown"}))
    assert refused(forged(credential, at=NOW, key=settings.JWT_KEYS[1], aud="aval:staff"))


def test_an_expired_jwt_of_a_former_key_is_refused(issued, settings):
    use_secrets(settings, NEW, OLD)
    past = int((NOW - timedelta(days=1)).timestamp())
    assert refused(forged(issued[0], at=NOW, key=settings.JWT_KEYS[1], exp=past))


def test_with_one_key_a_forged_jwt_costs_one_check(issued, monkeypatch):
    checks = []
    checked = jwt_keys.TokenBackend.decode
    monkeypatch.setattr(
        jwt_keys.TokenBackend, "decode", lambda *words, **more: checks.append(1) or checked(*words, **more)
    )
    assert refused(forged(issued[0], at=NOW, key="x" * 40))
    assert len(checks) == 1
