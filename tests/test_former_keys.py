"""What was made under a former SECRET_KEY: it goes on working while the key is accepted, and ends with it."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from clients.errors import CredentialRefused
from clients.models import LoginFailures
from config.variables import BASE_DIR
from external_api.informaperu import staff_tokens
from messaging.delivery import receipts
from messaging.models import Message
from messaging.queue import sealing as code_seal
from staff import login_delays, login_marks
from staff.session_store import SessionStore, row_of, rows_of
from subscription import page_cookie
from tests.factories import MessageFactory
from tests.secret_keys import NEW, OLD, use_secrets
from tokens import codes

pytestmark = pytest.mark.django_db

OTHER = "another secret of more than thirty-two characters"


@pytest.fixture(autouse=True)
def former(settings):
    use_secrets(settings, OLD)


@pytest.fixture
def agent():
    return User.objects.create_superuser("eva", password="una clave larga")


def each_state(settings):
    """The keys of a process before, during and after the change, and whether it still knows the former one."""
    for secrets in ([OLD, NEW], [NEW, OLD], [NEW, OTHER, OLD]):
        use_secrets(settings, *secrets)
        yield True
    use_secrets(settings, NEW)
    yield False


def test_a_code(settings):
    token, code = uuid4(), codes.generate()
    stored = codes.digest(token, code)
    for known in each_state(settings):
        assert codes.matches(token, stored, code.lower()) == known
        assert not codes.matches(uuid4(), stored, code)
        assert not codes.matches(token, stored, "")


def test_every_key_is_compared_and_one_key_costs_one_comparison(settings, monkeypatch):
    compared = []
    compare = codes.hmac.compare_digest
    monkeypatch.setattr(codes.hmac, "compare_digest", lambda one, other: compared.append(1) or compare(one, other))
    token = uuid4()
    stored = codes.digest(token, "A1B2")
    assert codes.matches(token, stored, "A1B2")
    assert len(compared) == 1
    use_secrets(settings, OLD, NEW, OTHER)
    assert codes.matches(token, stored, "A1B2")
    assert len(compared) == 1 + 3, "also after the one that matches"


def test_the_seal_of_a_code(settings):
    sealed = code_seal.seal("A1B2")
    for known in each_state(settings):
        if known:
            assert code_seal.unseal(sealed) == "A1B2"
        else:
            with pytest.raises(code_seal.CannotUnseal):
                code_seal.unseal(sealed)


def test_a_code_is_sealed_anew_with_the_first_key(settings):
    sealed = code_seal.seal("A1B2")
    use_secrets(settings, NEW, OLD)
    assert not code_seal.is_newest(sealed)
    anew = code_seal.resealed(sealed)
    use_secrets(settings, NEW)
    assert code_seal.is_newest(anew)
    assert code_seal.unseal(anew) == "A1B2"
    with pytest.raises(code_seal.CannotUnseal):
        code_seal.resealed(sealed)


def test_a_session_is_found_and_stays_in_its_row(settings):
    store = SessionStore()
    store["page"] = 1
    store.create()
    row = row_of(store.session_key)
    for known in each_state(settings):
        again = SessionStore(store.session_key)
        assert again.exists(store.session_key) == known
        assert again.get("page") == (1 if known else None)
        if known:
            again["seen"] = True
            again.save()
            assert [each.session_key for each in Session.objects.all()] == [row]
            use_secrets(settings, OLD, NEW, OTHER)
            assert SessionStore(store.session_key)["seen"], "a process that has the former key first reads it"


def test_a_session_ends_under_whatever_key_it_was_stored(settings):
    store = SessionStore()
    store.create()
    key = store.session_key
    use_secrets(settings, NEW, OLD)
    assert len(set(rows_of(key))) == 2
    SessionStore(key).delete()
    assert not Session.objects.exists()


def test_a_login_holds_while_processes_have_different_keys(agent, settings):
    http = Client()
    http.force_login(agent)
    for secrets in ([OLD, NEW], [NEW, OLD], [OLD, NEW], [NEW, OLD], [NEW]):
        use_secrets(settings, *secrets)
        assert http.get("/admin/").status_code == 200, secrets
    use_secrets(settings, OTHER)
    assert http.get("/admin/").status_code == 302


def test_the_step_between_password_and_code(agent, settings):
    mark = login_marks.mark_of(agent, "step")
    for known in each_state(settings):
        assert login_marks.is_mark_of(agent, "step", mark) == known
    use_secrets(settings, NEW, OLD)
    assert not login_marks.is_mark_of(agent, "another step", mark)
    agent.set_password("otra clave larga")
    assert not login_marks.is_mark_of(agent, "step", mark)


def test_a_token_of_the_staff_api(agent, settings):
    raw = staff_tokens.issue_for(agent, at=timezone.now())
    for known in each_state(settings):
        if known:
            assert staff_tokens.user_of_token(raw) == agent
        else:
            with pytest.raises(CredentialRefused):
                staff_tokens.user_of_token(raw)


def test_a_link_for_a_new_password(agent, settings):
    token = default_token_generator.make_token(agent)
    for known in each_state(settings):
        assert default_token_generator.check_token(agent, token) == known


def test_the_cookie_of_a_link_s_page(settings):
    request, answer = RequestFactory().get("/suscripcion/x"), HttpResponse()
    page_cookie.set_on(answer, request, "token")
    request.COOKIES.update({name: morsel.value for name, morsel in answer.cookies.items()})
    for known in each_state(settings):
        assert page_cookie.has(request, "token") == known
        assert not page_cookie.has(request, "other")


def test_failed_logins_are_counted_on_and_known_addresses_known(settings):
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    at = timezone.now()
    for _ in range(login_delays.FREE_FAILURES - 1):
        login_delays.count_failure("eva", at=at)
    use_secrets(settings, NEW, OLD)
    login_delays.count_failure("eva", at=at)
    assert LoginFailures.objects.get().today == login_delays.FREE_FAILURES
    assert login_delays.claim_try(request, "eva", at=at) > 0
    use_secrets(settings, OLD, NEW)
    login_delays.count_success(request, "eva", at=at)
    use_secrets(settings, NEW, OLD)
    assert LoginFailures.objects.get().in_a_row == 0
    assert login_delays.claim_try(request, "eva", at=at) == 0, "from where it has logged in"
    use_secrets(settings, NEW)
    assert login_delays.claim_try(request, "eva", at=at + timedelta(days=2)) == 0


def test_a_receipt_that_came_before_its_message_was_recorded(settings):
    at = timezone.now()
    report = receipts.Report("twilio", "p-1", "DELIVERED", recipients=frozenset({"+51987654321"}))
    assert not receipts.receive(report, at=at), "no message of this id is recorded yet"
    use_secrets(settings, NEW, OLD)
    message = MessageFactory(
        recipient="+51987654321", state="SENT", provider="twilio", provider_id="p-1", handed_over_at=at, sent_at=at
    )
    receipts.catch_up({message.pk: ("twilio", "p-1")}, at=at)
    assert Message.objects.get().state == "DELIVERED"


def test_after_the_key_is_gone_such_a_receipt_is_about_nobody(settings):
    kept = [receipts.key_of("+51987654321")]
    for known in each_state(settings):
        assert receipts.is_about("+51987654321", kept) == known
    assert receipts.is_about("+51987654321", []), "it names no number"


USES = {
    "clients/jwt_keys.py": "JWTs",
    "clients/keyed_hashes.py": "keyed hashes, by each key",
    "clients/rate_limits/postgres_counters.py": "names of counters, which begin anew with another key",
    "clients/sealing.py": "seals of columns",
    "clients/email_subscriptions.py": "Django's Signer, which knows the fallbacks",
    "external_api/client_import/admin.py": "Django's signing, which knows the fallbacks",
    "messaging/queue/sealing.py": "seals of codes",
    "staff/login_marks.py": "marks of a password, by each key",
    "staff/passwords.py": "Django's tokens, which know the fallbacks; names of counters, which begin anew",
    "staff/second_factor.py": "backup codes, by each key",
    "subscription/links.py": "Django's Signer, which knows the fallbacks",
    "support/keys/unsealed.py": "counts what needs a former key",
    "support/management/commands/reseal.py": "asks whether there is a former key",
    "tokens/codes.py": "codes, by each key",
}
"""Files that use SECRET_KEY or a key derived from it, and how they deal with a change."""
KEY = re.compile(
    r"salted_hmac\(|signing\.(Signer|TimestampSigner|dumps|get_cookie_signer)|default_token_generator"
    r"|settings\.(SECRET_KEY|(?!MAIL_WEBHOOK)\w*_KEYS\b)"
)
"""What uses it. `MAIL_WEBHOOK_KEYS` are keys of providers."""


def test_every_use_of_the_key_is_known():
    found = set()
    for package in ("clients", "staff", "messaging", "tokens", "webhooks", "external_api", "subscription", "support"):
        for path in (BASE_DIR / package).rglob("*.py"):
            name = str(path.relative_to(BASE_DIR))
            if "/tests/" not in name and "/migrations/" not in name and KEY.search(path.read_text()):
                found.add(name)
    assert found == set(USES)
