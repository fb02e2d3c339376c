"""`manage.py reseal`: what it seals anew, what it counts, and when it says that a former key may go."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from clients.authenticators import Authenticator
from clients.credentials import authenticate, issue
from clients.models import Credential
from external_api.frontdoor import idempotency
from messaging.models import Message
from messaging.queue import sealing as code_seal
from messaging.tests.queued import queue
from staff import second_factor
from staff.tests.authenticator import code
from support.keys import resealing
from tests.factories import ENDPOINT_SECRET, EndpointFactory, PartnerFactory, VerificationTokenFactory
from tests.secret_keys import NEW, OLD, use_secrets
from webhooks import signing

pytestmark = pytest.mark.django_db

SECRET = b'{"secret":"avl_live_0123456789abcdefghij"}'


@pytest.fixture(autouse=True)
def former(settings):
    use_secrets(settings, OLD)


def run(capsys, **options):
    """The counts of each kind (sealed anew, of a former key, of none), the exit code and the whole text."""
    try:
        call_command("reseal", **options)
        status = 0
    except SystemExit as ended:
        status = ended.code
    text = capsys.readouterr().out
    rows = [line.rsplit(maxsplit=3) for line in text.splitlines()[1:] if line[:1].isalpha()]
    counts = {row[0]: tuple(map(int, row[1:])) for row in rows if len(row) == 4 and row[1].isdigit()}
    return counts, status, text


def answered(partner):
    at = timezone.now()
    row = idempotency.begin(partner, "nopasanada", "k", asked=b"x", at=at)
    if isinstance(row, idempotency.StoredAnswer):
        return row.body
    idempotency.finish(row, status=201, body=SECRET, shows_secret=True)
    return SECRET


@pytest.fixture
def kept(former):
    """One of everything that is kept sealed, made under the former key."""
    boss = User.objects.create_superuser("jefa", password="una clave larga")
    key = second_factor.new_key()
    second_factor.enrol(boss, key, code(key), at=timezone.now(), address=None)
    endpoint = EndpointFactory()
    signed_before = signing.sealed("whsec_" + "QQ==", owner=endpoint.pk)
    type(endpoint).objects.update(former_secret=signed_before, former_secret_until=timezone.now() + timedelta(hours=9))
    partner = PartnerFactory()
    answered(partner)
    return boss, key, endpoint, partner, queue()


def test_everything_is_sealed_anew_and_opens_without_the_former_key(kept, settings, capsys):
    boss, key, endpoint, partner, message = kept
    use_secrets(settings, NEW, OLD)
    counts, status, text = run(capsys)
    assert counts == {
        "authenticator apps": (1, 0, 0),
        "webhook secrets": (1, 0, 0),
        "former webhook secrets": (1, 0, 0),
        "kept answers": (1, 0, 0),
        "codes in the queue": (1, 0, 0),
        "sessions of staff": (0, 0, 0),
        "live codes": (0, 0, 0),
        "JWTs of partners": (0, 0, 0),
    }
    assert status == 0
    assert "Backup codes of 1 users" in text
    use_secrets(settings, NEW)
    endpoint.refresh_from_db()
    assert Authenticator.objects.get(user=boss).plain_key == key
    assert signing.unsealed(endpoint.secret, owner=endpoint.pk) == ENDPOINT_SECRET
    assert signing.unsealed(endpoint.former_secret, owner=endpoint.pk) == "whsec_QQ=="
    assert answered(partner) == SECRET
    assert code_seal.unseal(Message.objects.get(pk=message.pk).sealed) == "A1B2"


def test_a_second_run_seals_nothing_and_without_a_former_key_none_is_needed(kept, settings, capsys):
    use_secrets(settings, NEW, OLD)
    run(capsys)
    counts, status, _ = run(capsys)
    assert {each[0] for each in counts.values()} == {0}
    use_secrets(settings, NEW)
    counts, status, text = run(capsys)
    assert (set(counts.values()), status) == ({(0, 0, 0)}, 0)
    assert "Backup codes" not in text


def test_what_no_key_opens_is_counted_and_left_as_it_is(kept, settings, capsys):
    before = TOTPDevice.objects.get().key
    use_secrets(settings, NEW)
    counts, status, _ = run(capsys)
    assert counts["authenticator apps"] == counts["kept answers"] == counts["codes in the queue"] == (0, 0, 1)
    assert TOTPDevice.objects.get().key == before
    assert status == 0, "a key that is not accepted is not needed"


def test_a_plain_key_of_an_older_version_is_sealed(kept, settings, capsys):
    TOTPDevice.objects.update(key=kept[1])
    counts, *_ = run(capsys)
    assert counts["authenticator apps"] == (1, 0, 0)
    assert Authenticator.objects.get().plain_key == kept[1]
    assert kept[1] not in TOTPDevice.objects.get().key


def test_more_rows_than_a_batch_are_all_sealed_anew(settings, capsys, monkeypatch):
    monkeypatch.setattr(resealing, "BATCH", 2)
    partner = PartnerFactory()
    for _ in range(5):
        EndpointFactory(partner=partner)
    use_secrets(settings, NEW, OLD)
    assert run(capsys)[0]["webhook secrets"] == (5, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_locked_is_waited_for_by_nobody_and_still_counted(settings, capsys):
    endpoint = EndpointFactory()
    use_secrets(settings, NEW, OLD)
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM webhooks_endpoint WHERE id = %s FOR UPDATE", [endpoint.pk])
        counts, status, _ = run(capsys)
        assert (counts["webhook secrets"], status) == ((0, 1, 0), 1)
        other.rollback()
    finally:
        other.close()
    counts, status, _ = run(capsys)
    assert (counts["webhook secrets"], status) == ((1, 0, 0), 0)


def test_a_session_is_counted_until_it_is_used(settings, capsys):
    boss = User.objects.create_superuser("jefa", password="una clave larga")
    http = Client()
    http.force_login(boss)
    use_secrets(settings, NEW, OLD)
    counts, status, _ = run(capsys)
    assert (counts["sessions of staff"], status) == ((0, 1, 0), 1)
    assert http.get("/admin/").status_code == 200
    counts, status, _ = run(capsys)
    assert (counts["sessions of staff"], status) == ((0, 0, 0), 0)


def test_live_codes_asked_for_before_the_last_restart_are_counted(settings, capsys):
    at = timezone.now()
    VerificationTokenFactory(created_at=at - timedelta(seconds=60))
    VerificationTokenFactory(created_at=at - timedelta(seconds=10))
    VerificationTokenFactory(created_at=at - timedelta(seconds=151))
    VerificationTokenFactory(created_at=at - timedelta(seconds=60), outcome="VALIDADO")
    use_secrets(settings, NEW, OLD)
    counts, status, text = run(capsys)
    assert (counts["live codes"], status) == ((0, 2, 0), 1)
    assert f"--since={timezone.now().year!s}" in text
    counts, status, text = run(capsys, since=(at - timedelta(seconds=30)).isoformat())
    assert (counts["live codes"], status) == ((0, 1, 0), 1)
    assert (at + timedelta(seconds=90)).isoformat() in text
    counts, status, _ = run(capsys, since=(at - timedelta(seconds=90)).isoformat())
    assert (counts["live codes"], status) == ((0, 0, 0), 0)


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01", "2026-01-01T10:00:00", "2999-01-01T10:00:00Z"])
def test_a_moment_that_is_none_is_refused(since):
    with pytest.raises(CommandError, match="--since"):
        call_command("reseal", since=since)


def test_jwts_are_counted_by_the_key_that_signed_them(settings, capsys):
    at, partner = timezone.now(), PartnerFactory(name="Financiera")
    issue(partner, "jwt", at=at, by="ana")
    unnamed, raw = issue(partner, "jwt", at=at, by="ana")
    Credential.objects.filter(pk=unnamed.pk).update(kid="")
    for over in ({"revoked_at": at}, {"expires_at": at - timedelta(days=1)}):
        Credential.objects.filter(pk=issue(partner, "jwt", at=at, by="ana")[0].pk).update(**over)
    use_secrets(settings, NEW, OLD)
    issue(partner, "jwt", at=at, by="ana")
    counts, status, text = run(capsys)
    assert (counts["JWTs of partners"], status) == ((0, 2, 0), 1)
    assert "of financiera" in text
    assert "key not known" in text
    authenticate(raw, at=at)
    assert "key not known" not in run(capsys)[2], "its use has told the key"
    Credential.objects.update(revoked_at=at)
    assert run(capsys)[1] == 0
    Credential.objects.update(revoked_at=None)
    use_secrets(settings, NEW)
    counts, status, _ = run(capsys)
    assert counts["JWTs of partners"][:2] == (0, 0)
    assert counts["JWTs of partners"][2] >= 2, "they are refused now"
    assert status == 0
