"""Fixtures of all tests: partners with keys, clients of each contract, and an empty Redis for each test."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import get_hashers, get_hashers_by_algorithm
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.db import connection as db_connection
from django.db.models.signals import post_migrate
from django.test import Client
from pytest_django.plugin import blocking_manager_key
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]

from clients import twins
from clients.credentials import issue
from clients.hashing import BoundedPBKDF2
from clients.models import Applicant, Credential, Partner
from clients.rate_limits import alarms, counters
from clients.rate_limits.redis_client import breaker, broker, connection
from external_api.frontdoor import export_slots
from external_api.health import probes
from external_api.openapi.registry import EXAMPLE
from messaging.delivery import failover
from messaging.delivery import send as delivery
from messaging.models import SandboxMessage
from messaging.queue import wakeup
from metrics import sql as metrics_sql
from testkit import databases
from tests.factories import ApplicantFactory, PartnerFactory

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
"""The time of most tests: 10:30 in Lima."""


class QuickHasher(BoundedPBKDF2):
    """The hasher of production with a thousandth of its work: hundreds of tests create staff users."""

    iterations = 1_000


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> None:
    settings.PASSWORD_HASHERS = ["conftest.QuickHasher"]
    get_hashers.cache_clear()  # type: ignore[attr-defined]
    get_hashers_by_algorithm.cache_clear()  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def static_files_listed_once() -> Iterator[None]:
    """List the static files once a process. WhiteNoise lists them for each test client: half of the time of a test."""
    found: dict[str, Any] = {}
    listed = WhiteNoiseMiddleware.add_files_from_finders

    def add_known_files(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            listed(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add_known_files)
        yield


@dataclass(frozen=True)
class Member:
    """A partner with its credentials."""

    partner: Partner
    token: str
    jwt: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def _member(name: str, *, contracts: list[str], is_active: bool = True) -> Member:
    partner = PartnerFactory.create(name=name, contracts=contracts, is_active=is_active)
    _, token = issue(partner, Credential.Kind.OPAQUE, at=NOW, by="test")
    _, jwt = issue(partner, Credential.Kind.JWT, at=datetime.now(UTC), by="test")
    return Member(partner, token, jwt)


@pytest.fixture
def informa(db: None) -> Member:
    """A partner that may use contract 2."""
    return _member("Informa", contracts=["informaperu"])


@pytest.fixture
def twin(informa: Member) -> Member:
    """The test twin of `informa`, with test keys."""
    made = twins.issue_keys(informa.partner, at=datetime.now(UTC), by="test")
    return Member(Partner.objects.get(twin_of=informa.partner), made.token, made.jwt)


@pytest.fixture
def stranger(db: None) -> Member:
    """Another partner of contract 2, who must not see other partners' data."""
    return _member("Stranger", contracts=["informaperu"])


@pytest.fixture
def elsewhere(db: None) -> Member:
    """A partner of contracts 1 and 3 only."""
    return _member("Elsewhere", contracts=["nopasanada", "registry"])


@pytest.fixture
def nopasanada(db: None) -> Member:
    """A partner that may use contract 1."""
    return _member("Nopasanada", contracts=["nopasanada"])


@pytest.fixture
def registry(db: None) -> Member:
    """A partner that may use contract 3."""
    return _member("Registro", contracts=["registry"])


@pytest.fixture
def switched_off(db: None) -> Member:
    return _member("Apagada", contracts=["informaperu"], is_active=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Have the template of the test databases made before the first test, whose time limit would count it."""
    if session.items and not session.config.option.collectonly:
        with session.config.stash[blocking_manager_key].unblock(), databases.without_time_limits():
            db_connection.settings_dict["TEST"]["TEMPLATE"] = databases.migrated_template()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    with databases.without_time_limits():
        yield


@pytest.fixture(scope="session", autouse=True)
def close_status_connection(django_db_setup: None) -> Iterator[None]:
    """Close the status endpoint's database connection, which would block the drop of the test database."""
    yield
    probes.database._thread.submit(lambda: db_connection.close()).result()


@pytest.fixture(scope="session", autouse=True)
def roles_outlive_flushes(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Make the roles of the migrations anew when a test with transactions of its own has emptied the tables: with tests
    shared out while they run, any other may come after it."""
    key = ("content_type__app_label", "content_type__model", "codename")
    with django_db_blocker.unblock():
        # where no test of this run uses a database, pytest-django makes none
        is_there = Group._meta.db_table in db_connection.introspection.table_names()
        rights = list(Group.objects.values_list("name", *(f"permissions__{part}" for part in key))) if is_there else []

    def restore(**_: Any) -> None:
        if Group.objects.exists():
            return
        groups = {name: Group.objects.create(name=name) for name in {name for name, *_ in rights}}
        permissions = {tuple(found): id for *found, id in Permission.objects.values_list(*key, "id")}
        through = Group.permissions.through
        through.objects.bulk_create(
            through(group=groups[name], permission_id=permissions[tuple(right)]) for name, *right in rights
        )

    last_app = list(apps.get_app_configs())[-1]  # permissions are made by a signal of each app
    post_migrate.connect(restore, sender=last_app, weak=False)
    yield
    post_migrate.disconnect(restore, sender=last_app)


@pytest.fixture(autouse=True)
def clean_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset limits, wake-ups, circuit breakers and provider states; the Redis server is the tests' own."""
    breaker.closed_until = broker.closed_until = 0.0
    monkeypatch.setattr(failover, "local", failover._LocalState())
    connection().flushdb()
    counters.forget()
    wakeup.forget_promises()
    alarms.forget()
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def end_exports() -> Iterator[None]:
    """End exports after each test: the test client does not close streamed answers, as a server does."""
    yield
    export_slots.watchdog.release_all()


REGISTRATION: dict[str, Any] = {
    "tipo_documento": "DNI",
    "documento": "12345678",
    "digito_verificador": "9",
    "nombres": "Juan",
    "apellido_paterno": "Perez",
    "apellido_materno": "Gomez",
    "correo": "juan.perez@example.com",
    "departamento": "LIMA",
    "provincia": "LIMA",
    "distrito": "MIRAFLORES",
}
"""Example of `POST /client` in the contract document."""

SMS: dict[str, Any] = {"telefono": "987654321", "operador": "MOVISTAR", "via": "S"}
"""Example of `POST /client/:id/token` in the contract document."""


class InformaperuClient:
    """Client of contract 2 over Django's test client."""

    base = "/v1/api"

    def __init__(self) -> None:
        self.http = Client(raise_request_exception=False)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(self.base + path, data=body or {}, content_type="application/json", headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(self.base + path, headers=headers)

    def register(self, _headers: dict[str, str] | None = None, **changes: Any) -> str:
        answer = self.post("/client", REGISTRATION | changes, **(_headers or {}))
        assert answer.status_code == 201, answer.content
        return str(answer.json()["data"]["id"])

    def ask(self, client: str, _headers: dict[str, str] | None = None, **changes: Any) -> Any:
        return self.post(f"/client/{client}/token", SMS | changes, **(_headers or {}))

    def verify(self, client: str, code: str, **headers: str) -> Any:
        return self.get(f"/client/{client}/verify/{code}", **headers)


class NopasanadaClient:
    """Client of contract 1 over Django's test client."""

    def __init__(self, token: str) -> None:
        self.http = Client(raise_request_exception=False)
        self.token = token

    def send(self, solicitud: Any = None, _body: dict[str, Any] | None = None, **fields: Any) -> Any:
        body = {"token": self.token, "usuario": "MAQ-001", "solicitud": solicitud, **fields} if _body is None else _body
        return self.http.post("/api/v1", data=body, content_type="application/json")

    def listing(self, solicitud: str, **fields: Any) -> Any:
        """The whole streamed answer of a query."""
        answer = self.send(solicitud, **fields)
        assert answer.status_code == 200, answer.content
        return json.loads(b"".join(answer.streaming_content))


@pytest.fixture
def desk(nopasanada: Member) -> NopasanadaClient:
    return NopasanadaClient(nopasanada.token)


@pytest.fixture
def front(db: None) -> InformaperuClient:
    return InformaperuClient()


EXTERNAL_CLIENT: dict[str, Any] = EXAMPLE
"""Example of `POST /external/client/registry` in the contract document."""


class Registrar:
    """Client of contract 3 over Django's test client."""

    path = "/external/client/registry"

    def __init__(self, jwt: str) -> None:
        self.http = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {jwt}"}

    def post(self, body: Any, path: str = path, **headers: str) -> Any:
        return self.http.post(path, data=body, content_type="application/json", headers=self.headers | headers)

    def raw(self, body: Any, content_type: str = "application/json") -> Any:
        return self.http.generic("POST", self.path, body, content_type=content_type, headers=self.headers)

    def send(self, **changes: Any) -> Any:
        return self.post(EXTERNAL_CLIENT | changes)

    def register(self, **changes: Any) -> str:
        answer = self.send(**changes)
        assert answer.status_code == 200, answer.content
        return str(answer.json()["content"]["client_id"])


@pytest.fixture
def registrar(registry: Member) -> Registrar:
    return Registrar(registry.jwt)


def delivered_code(to: str = "987654321") -> str:
    """Deliver due codes and return the newest one for a recipient from the outbox."""
    while delivery.deliver_due("codes"):
        pass
    text = SandboxMessage.objects.filter(to=to).latest("id").text
    return next(word.strip(".,") for word in text.split() if _is_code(word.strip(".,")))


def _is_code(word: str) -> bool:
    from tokens.codes import normalise

    return (word.isupper() and word.isalnum() and normalise(word) == word) or (word.isdigit() and len(word) == 4)


@pytest.fixture
def applicant(db: None) -> Applicant:
    """An applicant registered without a credential, who has not asked for a code."""
    return make_applicant()


def make_applicant(number: str = "12345678", **changes: Any) -> Applicant:
    """Applicant of the time of most tests, whose e-mail follows from `number`."""
    fields = {"document_number": number, "email": f"juan{number}@example.com", "created_at": NOW, "updated_at": NOW}
    applicant: Applicant = ApplicantFactory.create(**{**fields, **changes})
    return applicant


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the functions at the same time, each in a thread with its own connection, and return their results."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return act()
        finally:
            db_connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result() for each in [pool.submit(run, act) for act in acts]]


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds or the seconds are over; returns whether it held."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def forged(
    credential: Credential,
    *,
    at: datetime,
    key: str | None = None,
    algorithm: str = "HS256",
    without: Sequence[str] = (),
    headers: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """JWT with the claims of a valid one, issued at `at`, and some changed."""
    assert credential.jti is not None
    claims = {
        "token_type": "partner",
        "aud": "aval:partner",
        "iss": "aval",
        "sub": credential.partner.slug,
        "iat": int(at.timestamp()),
        "exp": int((at + timedelta(days=1)).timestamp()),
        "jti": credential.jti.hex,
    } | changes
    claims = {name: value for name, value in claims.items() if name not in without}
    return jwt.encode(claims, settings.JWT_KEYS[0] if key is None else key, algorithm=algorithm, headers=headers)


@pytest.fixture
def no_other_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the sweep of metrics wait for no other transaction: those of parallel tests last as long as the tests."""
    monkeypatch.setattr(metrics_sql, "OLDEST_RUNNING", metrics_sql.NEXT_TRANSACTION)
