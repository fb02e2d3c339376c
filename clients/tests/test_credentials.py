"""Partners' keys: issued, checked at every call, expired and revoked; and texts that only look like one."""

import base64
import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from django.db import connection
from django.forms.models import model_to_dict

from clients.credentials import JWT_LIFETIME, OPAQUE, authenticate, issue, revoke
from clients.errors import CredentialRefused
from clients.models import AuditEntry, Credential, Partner
from conftest import forged as forged_of
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)
"""The time of these tests: the expiry in a JWT is checked by the real clock."""


@pytest.fixture
def partner():
    return PartnerFactory(name="Financiera")


def issued(partner, kind, **options):
    return issue(partner, kind, at=NOW, by="ana", **options)


def refused(raw, *, at=NOW, **options):
    with pytest.raises(CredentialRefused):
        authenticate(raw, at=at, **options)
    return True


def forged(credential, **changes):
    return forged_of(credential, at=NOW, **changes)


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_a_key_that_was_issued_opens(partner, kind):
    credential, secret = issued(partner, kind)
    assert authenticate(secret, at=NOW) == credential
    assert authenticate(secret, at=NOW).partner == partner


def test_an_opaque_key_has_190_bits_and_no_end(partner):
    credential, secret = issued(partner, "opaque")
    assert OPAQUE.fullmatch(secret)
    assert credential.expires_at is None
    assert len({issued(partner, "opaque")[1] for _ in range(20)}) == 20
    assert authenticate(secret, at=NOW + timedelta(days=3650)) == credential


def test_a_jwt_lives_365_days_by_itself(partner):
    credential, secret = issued(partner, "jwt")
    assert credential.expires_at == NOW + JWT_LIFETIME
    claims = jwt.decode(secret, options={"verify_signature": False})
    assert claims["exp"] == int(credential.expires_at.timestamp())
    assert claims["sub"] == "financiera"
    assert jwt.get_unverified_header(secret)["alg"] == "HS256"


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_only_a_trace_of_the_secret_is_kept(partner, kind):
    credential, secret = issued(partner, kind)
    kept = " ".join(str(value) for value in model_to_dict(Credential.objects.get(), fields=None).values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(c)::text FROM clients_credential c")
        kept += cursor.fetchone()[0]
    assert secret not in kept
    assert secret.rpartition(".")[2] not in kept
    if kind == "opaque":
        assert credential.digest == hashlib.sha256(secret.encode()).hexdigest()
        assert kept.count(secret[:5]) == 0  # the prefix shown is four characters
    assert secret not in str(credential) + repr(credential)


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_an_expired_key_is_refused_from_that_moment_on(partner, kind):
    credential, secret = issued(partner, kind, expires_at=NOW + timedelta(days=2))
    assert authenticate(secret, at=NOW + timedelta(days=2, microseconds=-1)) == credential
    assert refused(secret, at=NOW + timedelta(days=2))


def test_a_jwt_that_has_expired_by_its_own_claim_is_refused(partner):
    _, secret = issue(partner, "jwt", at=NOW - timedelta(days=2), by="ana", expires_at=NOW - timedelta(days=1))
    assert refused(secret)
    assert refused(secret, at=NOW - timedelta(days=2))  # the claim is judged by the real clock


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_a_revoked_key_is_refused_at_the_next_call_and_others_live_on(partner, kind):
    credential, secret = issued(partner, kind)
    other, other_secret = issued(partner, kind)
    authenticate(secret, at=NOW)
    assert revoke(credential, at=NOW, by="ana", reason="se filtró")
    assert refused(secret)
    assert authenticate(other_secret, at=NOW) == other
    assert not revoke(credential, at=NOW, by="ana")


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_a_partner_switched_off_is_refused_at_the_next_call_and_comes_back(partner, kind):
    credential, secret = issued(partner, kind)
    authenticate(secret, at=NOW)
    Partner.objects.update(is_active=False)
    assert refused(secret)
    Partner.objects.update(is_active=True)
    assert authenticate(secret, at=NOW) == credential


def test_a_contract_may_ask_for_one_kind_only(partner):
    _, opaque = issued(partner, "opaque")
    _, token = issued(partner, "jwt")
    assert refused(opaque, kinds=("jwt",))
    assert refused(token, kinds=("opaque",))


def test_a_jwt_like_a_live_one_opens_so_that_the_forgeries_below_fail_for_their_own_reason(partner):
    credential, _ = issued(partner, "jwt")
    assert authenticate(forged(credential), at=NOW) == credential


@pytest.mark.parametrize(
    "change",
    [
        {"key": "", "algorithm": "none"},
        {"key": "another-key-of-more-than-32-characters-in-all"},
        {"algorithm": "HS384"},
        {"algorithm": "HS512"},
        {"aud": "aval:staff"},
        {"aud": ["aval:staff"]},
        {"aud": None},
        {"without": ("aud",)},
        {"iss": "somebody"},
        {"without": ("iss",)},
        {"token_type": "staff"},
        {"token_type": "access"},
        {"without": ("token_type",)},
        {"without": ("exp",)},
        {"exp": int(NOW.timestamp()) - 1},
        {"exp": "mañana"},
        {"nbf": int(NOW.timestamp()) + 86_400},
        {"without": ("jti",)},
        {"jti": uuid4().hex},
        {"jti": "x"},
        {"jti": ""},
    ],
    ids="-".join,  # what is changed, not to what: a moment differs from run to run
)
def test_a_forged_jwt_is_refused(partner, change):
    credential, _ = issued(partner, "jwt")
    assert refused(forged(credential, **change))


def test_the_algorithm_none_is_refused_however_it_is_spelt(partner):
    credential, secret = issued(partner, "jwt")
    _, claims, signature = secret.split(".")
    for name in ("none", "None", "NONE", "nOnE", ""):
        header = base64.urlsafe_b64encode(json.dumps({"alg": name, "typ": "JWT"}).encode()).decode().rstrip("=")
        for end in ("", signature):
            assert refused(f"{header}.{claims}.{end}")
    assert authenticate(secret, at=NOW) == credential


def test_a_changed_claim_breaks_the_signature(partner):
    _, secret = issued(partner, "jwt")
    header, claims, signature = secret.split(".")
    other = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"financiera", b"otra000000"))
    assert refused(f"{header}.{other.decode().rstrip('=')}.{signature}")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        ".",
        "..",
        "a.b.c",
        "\x00",
        "ñ" * 32,
        "Ａ" * 32,  # fullwidth letters
        "\ud800",
        "\ud800.a.b",
        "null",
        "Bearer",
        "0" * 32,
        "A" * 31,
        "A" * 33,
        "A" * 100_000,
        base64.urlsafe_b64encode(b"[" * 60_000).decode() + ".e30.x",
        base64.urlsafe_b64encode(b'{"alg":' + b"1" * 6000 + b"}").decode() + ".e30.x",
        base64.urlsafe_b64encode(b'{"alg":["HS256"]}').decode() + ".e30.x",
        "' OR 1=1 --",
    ],
    ids=lambda raw: ascii(raw[:20]),
)
def test_garbage_is_refused(partner, raw):
    issued(partner, "opaque")
    issued(partner, "jwt")
    assert refused(raw)


def test_a_key_of_the_right_form_that_was_not_issued_is_refused(partner):
    _, secret = issued(partner, "opaque")
    credential, _ = issued(partner, "jwt")
    for lookalike in (
        secret.swapcase(),
        secret[::-1],
        secret[:-1] + "_",
        secret + "\n",
        f" {secret}",
        credential.jti.hex,
    ):
        assert refused(lookalike)
    assert refused(hashlib.sha256(secret.encode()).hexdigest())


def test_the_last_use_is_written_at_most_once_a_minute(partner, django_assert_num_queries):
    _, secret = issued(partner, "opaque")
    authenticate(secret, at=NOW)
    assert Credential.objects.get().last_used_at == NOW
    with django_assert_num_queries(1):
        authenticate(secret, at=NOW + timedelta(seconds=59))
    assert Credential.objects.get().last_used_at == NOW
    authenticate(secret, at=NOW + timedelta(seconds=61))
    assert Credential.objects.get().last_used_at == NOW + timedelta(seconds=61)


def test_a_refused_key_leaves_no_trace_of_use(partner):
    credential, secret = issued(partner, "opaque")
    revoke(credential, at=NOW, by="ana")
    assert refused(secret)
    assert Credential.objects.get().last_used_at is None


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_issuing_and_revoking_are_audited_without_the_secret(partner, kind, caplog):
    caplog.set_level(logging.DEBUG)
    credential, secret = issued(partner, kind, address="192.0.2.7")
    revoke(credential, at=NOW, by="luis", reason="se filtró", address="192.0.2.8")
    first, second = AuditEntry.objects.order_by("id")
    assert (first.action, first.actor, first.address) == ("credential.issued", "ana", "192.0.2.7")
    assert first.data == {"kind": kind, "partner": "financiera"}
    assert (second.action, second.actor, second.address) == ("credential.revoked", "luis", "192.0.2.8")
    assert second.reason == "se filtró"
    assert {first.object_id, second.object_id} == {str(credential.pk)}
    written = json.dumps([first.data, second.data]) + caplog.text
    assert secret not in written


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_the_row_that_is_found_is_the_one_of_the_orm(partner, kind):
    credential, secret = issued(partner, kind, expires_at=NOW + timedelta(days=3))
    found = authenticate(secret, at=NOW)
    same = Credential.objects.select_related("partner").get(pk=credential.pk)
    for mine, theirs in ((found, same), (found.partner, same.partner)):
        assert not mine.get_deferred_fields()
        for field in mine._meta.concrete_fields:
            assert field.attname == "last_used_at" or getattr(mine, field.attname) == getattr(theirs, field.attname)
