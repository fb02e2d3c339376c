"""Python client against a scripted server: retries, deadline, errors, the feed's iterator, lists and webhooks."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aval_client import (
    Aval,
    BadRequest,
    BrokenAnswer,
    Conflict,
    CooldownActive,
    CursorGone,
    Forbidden,
    IdempotencyConflict,
    MissingCredential,
    NoAnswer,
    NotFound,
    RateLimited,
    Retries,
    ServerError,
    Unauthorized,
    WebhookVerificationError,
    WrongCode,
    verify_webhook,
)
from standardwebhooks import Webhook

from testkit.scripted_api import ScriptedApi, hang_up, hang_up_halfway, scripted_api

ME = {"name": "Empresa", "slug": "empresa"}
ROWS = {"id_solicitud": 1, "timestamp": "t", "resultados": {"cuenta_exitos": 1, "cuenta_fallos": 0}}
CLIENT = "5b0d6f0e-7a3c-4e0b-9a64-2f1f0b8f4c11"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class FakeClock:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def aval(api: ScriptedApi, clock: FakeClock) -> Iterator[Aval]:
    with Aval(api.url, token="T" * 32, jwt="j.w.t", clock=clock) as client:
        yield client


def keys(api: ScriptedApi) -> list[str | None]:
    return [each.headers.get("Idempotency-Key") for each in api.received]


# --- retries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_query_is_repeated_after_the_seconds_of_retry_after(aval: Aval, api: ScriptedApi, clock, status: int) -> None:
    api.says(status, {}, Retry_After="7").says(status, {}, Retry_After="3").says(200, ME)
    assert aval.partners.me()["slug"] == "empresa"
    assert [7 <= clock.slept[0] <= 7.5, 3 <= clock.slept[1] <= 3.5, len(clock.slept)] == [True, True, 2]


@pytest.mark.parametrize("script", [hang_up, hang_up_halfway])
def test_a_query_is_repeated_after_a_broken_connection(aval: Aval, api: ScriptedApi, clock, script) -> None:
    api.does(script).says(200, ME)
    assert aval.partners.me()["slug"] == "empresa"
    assert [0 <= wait <= 0.5 for wait in clock.slept] == [True]


def test_a_write_is_repeated_under_one_key_and_each_call_has_its_own(aval: Aval, api: ScriptedApi) -> None:
    api.does(hang_up).says(503, {}, Retry_After="1").says(409, {"resultados": {"error": "Idempotency-Key en uso."}})
    api.says(200, ROWS)
    assert aval.nopasanada.alta("MAQ-001", [])["id_solicitud"] == 1
    assert aval.nopasanada.baja("MAQ-001", [], idempotency_key="mine")["id_solicitud"] == 1
    first, *repeated, own = keys(api)
    assert (len(str(first)), repeated, own) == (36, [first] * 3, "mine")
    assert len({each.body for each in api.received[:4]}) == 1
    aval.nopasanada.alta("MAQ-001", [])
    assert keys(api)[-1] not in (first, own)


@pytest.mark.parametrize(
    "act",
    [
        lambda aval: aval.informaperu.verify(CLIENT, "A1B2"),
        lambda aval: aval.informaperu.login("ana", "clave"),
        lambda aval: aval.webhooks.delete("1"),
        lambda aval: aval.informaperu.status(),
    ],
)
@pytest.mark.parametrize("answer", ["hang up", 429, 503])
def test_what_may_have_been_done_is_not_done_again(aval: Aval, api: ScriptedApi, clock, act, answer) -> None:
    script(api, answer)
    with pytest.raises((NoAnswer, RateLimited, ServerError)):
        act(aval)
    assert (len(api.received), keys(api), clock.slept) == (1, [None], [])


@pytest.mark.parametrize("answer", ["hang up", 429, 503])
def test_a_write_without_a_credential_has_no_key_and_is_not_repeated(api: ScriptedApi, clock, answer) -> None:
    script(api, answer)
    with Aval(api.url, clock=clock) as aval:
        for act in (aval.informaperu.register, aval.informaperu.cancel):
            with pytest.raises((NoAnswer, RateLimited, ServerError)):
                act(CLIENT if act == aval.informaperu.cancel else {})
    assert (len(api.received), keys(api), clock.slept) == (2, [None, None], [])


def script(api: ScriptedApi, answer: Any) -> None:
    api.does(hang_up) if answer == "hang up" else api.says(answer, {}, Retry_After="1")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_what_will_not_change_is_not_repeated(aval: Aval, api: ScriptedApi, status: int) -> None:
    api.says(status, {"code": "x", "oldest": "c"})
    with pytest.raises(Exception, match=str(status)):
        aval.partners.me()
    assert len(api.received) == 1


def test_it_stops_after_so_many_attempts(api: ScriptedApi, clock: FakeClock) -> None:
    api.says(500, {})
    with Aval(api.url, token="t", clock=clock, retries=Retries(attempts=3)) as aval, pytest.raises(ServerError):
        aval.partners.me()
    assert (len(api.received), len(clock.slept)) == (3, 2)


def test_a_wait_beyond_the_deadline_is_not_begun(aval: Aval, api: ScriptedApi, clock: FakeClock) -> None:
    api.says(503, {}, Retry_After="40").says(503, {}, Retry_After="40").says(200, ME)
    with pytest.raises(ServerError) as refused:
        aval.partners.me()
    assert (refused.value.retry_after, len(api.received), len(clock.slept)) == (40, 2, 1)


def test_the_timeout_of_an_attempt_is_what_is_left_of_the_deadline(clock: FakeClock) -> None:
    limits: list[Any] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        limits.append(request.extensions["timeout"]["read"])
        raise httpx.ReadTimeout("late", request=request)

    http = httpx.Client(transport=httpx.MockTransport(refuse))
    retries = Retries(attempts=2, deadline=20, base=0)
    aval = Aval("http://x", token="t", http=http, retries=retries, clock=clock, timeout=30)
    with closing(http), pytest.raises(NoAnswer):
        aval.partners.me()
    assert limits == [20, 20]


def test_a_body_in_drops_ends_at_the_deadline(clock: FakeClock) -> None:
    def drops() -> Iterator[bytes]:
        while True:
            clock.now += 7
            yield b" "

    http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=drops())))
    with closing(http), pytest.raises(NoAnswer, match="deadline"):
        Aval("http://x", token="t", http=http, clock=clock).partners.me()
    assert 60 < clock.now <= 67


def test_backoff_grows_to_its_limit_and_is_spread() -> None:
    waits = [[Retries().wait(attempt, None) for _ in range(200)] for attempt in (1, 3, 9)]
    assert [0.4 < max(waits[0]) <= 0.5, 1.5 < max(waits[1]) <= 2, 15 < max(waits[2]) <= 20] == [True] * 3
    assert min(waits[2]) < 5


def test_no_redirect_is_followed(aval: Aval, api: ScriptedApi) -> None:
    api.says(302, None, Location="/elsewhere")
    with pytest.raises(Exception, match="302"):
        aval.partners.me()
    assert len(api.received) == 1


# --- errors -------------------------------------------------------------------------------------------------

COOLDOWN = {"via": "S", "can_request": False, "remaining_seconds": 9, "attempts_24h": 1, "next_attempt": 2}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message"),
    [
        (400, {"resultados": {"error": "Usuario requerido."}}, BadRequest, *["Usuario requerido."] * 2),
        (401, {"header": {"code": "401", "message": "No."}}, Unauthorized, "401", "No."),
        (403, {"code": "ERR_CLIENT_LOCKED", "message": "No."}, Forbidden, "ERR_CLIENT_LOCKED", "No."),
        (404, {"code": "not_found", "detail": "Nada."}, NotFound, "not_found", "Nada."),
        (409, {"code": "ERR_TOKEN_STILL_ACTIVE", "message": "No."}, Conflict, "ERR_TOKEN_STILL_ACTIVE", "No."),
        (422, {"code": "idempotency_key_reused", "detail": "x"}, IdempotencyConflict, "idempotency_key_reused", "x"),
        (422, {"header": {"code": "422", "title": "Conflicto de Idempotencia"}}, IdempotencyConflict, "422", "Unproc"),
        (429, {"code": "rate_limited", "detail": "No."}, RateLimited, "rate_limited", "No."),
        (502, b"<html>", ServerError, "", "Bad Gateway"),
    ],
)
def test_an_error_has_the_type_of_its_status(api: ScriptedApi, status, body, kind, code, message) -> None:
    api.says(status, body, Retry_After="9", Request_Id="abc")
    with Aval(api.url, token="t", retries=Retries(attempts=1)) as aval, pytest.raises(kind) as refused:
        aval.informaperu.request_token(CLIENT, "C")
    error = refused.value
    assert (type(error), error.status, error.code, error.request_id, error.retry_after) == (
        kind,
        status,
        code,
        "abc",
        9,
    )
    assert error.message.startswith(message)


def test_a_cooldown_and_a_wrong_code_carry_their_data_and_are_not_repeated(aval: Aval, api: ScriptedApi) -> None:
    api.says(429, {"code": "ERR_COOLDOWN_ACTIVE", "data": COOLDOWN}, Retry_After="9")
    with pytest.raises(CooldownActive) as waiting:
        aval.informaperu.request_token(CLIENT, "S", "987654321", "CLARO")
    api.answers.clear()
    api.says(400, {"code": "ERR_INVALID_TOKEN", "data": {"attempts_remaining": 3}})
    with pytest.raises(WrongCode) as wrong:
        aval.informaperu.verify(CLIENT, "A1B2")
    assert (waiting.value.cooldown["remaining_seconds"], wrong.value.attempts_remaining) == (9, 3)
    assert len(api.received) == 2


@pytest.mark.parametrize(
    "body", [{"details": {"f": ["t"]}}, {"errors": {"f": ["t"]}}, {"content": {"errors": {"f": ["t"]}}}]
)
def test_the_faults_of_fields_are_named(aval: Aval, api: ScriptedApi, body: Any) -> None:
    api.says(400, body)
    with pytest.raises(BadRequest) as refused:
        aval.registry.register({})
    assert refused.value.fields == {"f": ["t"]}


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("12", 12, 12), ("x", None, None), (timedelta(hours=1), 3000, 3600)],
    ids=["seconds", "neither", "date"],
)
def test_retry_after_is_seconds_or_a_date(aval: Aval, api: ScriptedApi, value, least, most) -> None:
    if isinstance(value, timedelta):
        value = f"{datetime.now(UTC) + value:%a, %d %b %Y %T GMT}"
    api.says(400, {}, Retry_After=value)
    with pytest.raises(BadRequest) as refused:
        aval.partners.me()
    found = refused.value.retry_after
    assert found is None if least is None else least <= found <= most


def test_a_success_that_is_no_json_is_broken(aval: Aval, api: ScriptedApi) -> None:
    api.says(200, b"<html>")
    with pytest.raises(BrokenAnswer):
        aval.partners.me()


def test_the_credential_that_a_call_needs_is_asked_for() -> None:
    with Aval("http://x", token="t") as only_token, pytest.raises(MissingCredential):
        _ = only_token.registry
    with Aval("http://x", jwt="j") as only_jwt, pytest.raises(MissingCredential):
        _ = only_jwt.nopasanada
    with Aval("http://x") as neither, pytest.raises(MissingCredential):
        neither.events()


@pytest.mark.parametrize(("code", "path"), [("../x?", "..%2Fx%3F"), ("Ñ 1", "%C3%91%201")])
def test_what_people_type_stays_one_segment_of_the_path(aval: Aval, api: ScriptedApi, code: str, path: str) -> None:
    api.says(200, {})
    aval.informaperu.verify(CLIENT, code)
    assert api.received[0].path == f"/v1/api/client/{CLIENT}/verify/{path}"
    for other in ("", ".", ".."):
        with pytest.raises(ValueError, match="path"):
            aval.informaperu.verify(CLIENT, other)
    assert len(api.received) == 1


# --- feed ---------------------------------------------------------------------------------------------------


def page(*numbers: int, next: str, end: bool = False) -> dict[str, Any]:
    return {"events": [{"id": f"evt_{number}"} for number in numbers], "next": next, "up_to_date": end}


def test_events_are_read_page_after_page_with_the_cursor_to_store(aval: Aval, api: ScriptedApi) -> None:
    api.says(200, page(1, 2, next="a")).says(200, page(next="b")).says(200, page(3, next="c", end=True))
    events = aval.events("0", types=["x.y", "x.z"], limit=2, follow=False)
    assert [(event["id"], events.cursor) for event in events] == [("evt_1", "0"), ("evt_2", "a"), ("evt_3", "c")]
    assert [each.path.partition("after=")[2] for each in api.received] == [
        "0&types=x.y%2Cx.z",
        "a&types=x.y%2Cx.z",
        "b&types=x.y%2Cx.z",
    ]


def test_the_iterator_waits_for_news(aval: Aval, api: ScriptedApi, clock: FakeClock) -> None:
    api.says(200, page(1, next="a", end=True), Retry_After="5").says(200, page(next="a", end=True), Retry_After="8")
    api.says(200, page(2, next="b", end=True))
    events = aval.events()
    assert [next(events)["id"], next(events)["id"]] == ["evt_1", "evt_2"]
    assert (clock.slept, events.cursor) == ([5, 8], "b")


def test_a_set_stop_ends_the_iterator_and_keeps_the_place(aval: Aval, api: ScriptedApi) -> None:
    api.says(200, page(1, 2, next="a", end=True))
    stop = threading.Event()
    events = aval.events("0", stop=stop)
    assert next(events)["id"] == "evt_1"
    stop.set()
    assert (list(events), events.cursor) == ([], "0")


def test_a_cursor_that_is_gone_is_an_error_or_the_oldest_event(aval: Aval, api: ScriptedApi) -> None:
    gone = {"code": "cursor_gone", "oldest": "o"}
    api.says(410, gone).says(410, gone).says(200, page(1, next="a", end=True))
    with pytest.raises(CursorGone) as refused:
        next(aval.events("old"))
    assert (refused.value.oldest, refused.value.status) == ("o", 410)
    events = aval.events("old", on_gone="oldest", follow=False)
    assert [event["id"] for event in events] == ["evt_1"]
    assert api.received[-1].path.endswith("after=o")


def test_the_iterator_goes_on_after_an_error(aval: Aval, api: ScriptedApi) -> None:
    api.says(200, page(1, next="a")).says(401, {}).says(200, page(2, next="b", end=True))
    events = aval.events(follow=False)
    assert next(events)["id"] == "evt_1"
    with pytest.raises(Unauthorized):
        next(events)
    assert next(events)["id"] == "evt_2"


# --- lists of contract 1 ------------------------------------------------------------------------------------

HEAD, TAIL = '{"id_solicitud": 5,"resultados":{"data":[', '],"cuenta":%d}}'
SENT = [json.dumps({"asunto": text}, ensure_ascii=False) for text in ('a],"cuenta":9}', '{"data":[', "ñ\\\\", "")]


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("number", [0, 1, 4])
def test_rows_are_read_whatever_the_pieces(clock: FakeClock, size: int, number: int) -> None:
    text = (HEAD + ",".join(SENT[:number]) + TAIL % number).encode()
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=iter(pieces))))
    with closing(http), Aval("http://x", token="t", http=http, clock=clock) as aval:
        rows = aval.nopasanada.mensajes_enviados("MAQ-001")
        assert list(rows) == [json.loads(row) for row in SENT[:number]]
    assert (rows.envelope["id_solicitud"], rows.envelope["resultados"]["cuenta"]) == (5, number)


@pytest.mark.parametrize(
    "text", [HEAD[:20], HEAD + SENT[0], HEAD + SENT[0][:5], HEAD + SENT[0] + "]", HEAD + SENT[0] + TAIL % 2, "[]", ""]
)
def test_a_list_that_ends_early_or_counts_other_rows_is_broken(aval: Aval, api: ScriptedApi, text: str) -> None:
    api.says(200, text.encode())
    with pytest.raises(BrokenAnswer):
        list(aval.nopasanada.clientes_autorizados("MAQ-001"))


def test_a_list_is_asked_for_again_until_it_begins(aval: Aval, api: ScriptedApi) -> None:
    api.says(503, {}, Retry_After="1").does(hang_up).says(200, (HEAD + TAIL % 0).encode())
    with aval.nopasanada.clientes_autorizados("MAQ-001") as rows:
        assert list(rows) == []
    assert (len(api.received), keys(api)) == (3, [None] * 3)
    api.answers.clear()
    api.says(401, {"resultados": {"error": "Token incorrecto."}})
    with pytest.raises(Unauthorized, match="Token incorrecto"):
        aval.nopasanada.clientes_autorizados("MAQ-001")


def test_a_list_whose_connection_breaks_is_no_list(aval: Aval, api: ScriptedApi) -> None:
    api.does(hang_up_halfway)
    with pytest.raises(NoAnswer):
        list(aval.nopasanada.clientes_autorizados("MAQ-001"))
    assert len(api.received) == 1


# --- endpoints of webhooks and the twin ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "method", "path", "body"),
    [
        (
            lambda aval: aval.webhooks.create("https://x", types=("a.b",)),
            *("POST", "/webhooks", {"url": "https://x", "types": ["a.b"], "description": "", "email": ""}),
        ),
        (lambda aval: aval.webhooks.list(), "GET", "/webhooks", None),
        (lambda aval: aval.webhooks.get("7"), "GET", "/webhooks/7", None),
        (lambda aval: aval.webhooks.update("7", status="paused"), "PATCH", "/webhooks/7", {"status": "paused"}),
        (lambda aval: aval.webhooks.delete("7"), "DELETE", "/webhooks/7", None),
        (lambda aval: aval.webhooks.test("7"), "POST", "/webhooks/7/test", {}),
        (lambda aval: aval.webhooks.rotate("7"), "POST", "/webhooks/7/rotate", {}),
        (
            lambda aval: aval.webhooks.replay("7", deliveries=["1"]),
            *("POST", "/webhooks/7/replay", {"deliveries": ["1"]}),
        ),
        (
            lambda aval: aval.webhooks.replay("7", since=datetime(2026, 1, 1, tzinfo=UTC), until="2026-01-02T00:00Z"),
            *("POST", "/webhooks/7/replay", {"since": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00Z"}),
        ),
        (
            lambda aval: aval.webhooks.deliveries("7", status="failed", after="c", limit=5),
            *("GET", "/webhooks/7/deliveries?status=failed&after=c&limit=5", None),
        ),
        (lambda aval: aval.webhooks.delivery("7", "8"), "GET", "/webhooks/7/deliveries/8", None),
        (lambda aval: aval.twin.keys(), "POST", "/test/keys", {}),
        (lambda aval: aval.twin.advance_clock(timedelta(hours=4)), "POST", "/test/clock", {"advance": "PT14400S"}),
        (lambda aval: aval.twin.advance_clock("PT4H"), "POST", "/test/clock", {"advance": "PT4H"}),
        (lambda aval: aval.twin.reset(), "POST", "/test/reset", {}),
        (lambda aval: aval.twin.messages("9"), "GET", "/test/messages?to=9", None),
    ],
)
def test_the_requests_of_webhooks_and_the_twin(aval: Aval, api: ScriptedApi, act, method, path, body) -> None:
    api.says(204) if method == "DELETE" else api.says(200, {})
    act(aval)
    (sent,) = api.received
    assert (sent.method, sent.path, json.loads(sent.body or "null")) == (method, f"/partners/v1{path}", body)
    assert sent.headers["Authorization"] == f"Bearer {'T' * 32}"
    assert ("Idempotency-Key" in sent.headers) == (method in ("POST", "PATCH"))


def test_a_moment_without_a_time_zone_is_refused(aval: Aval) -> None:
    with pytest.raises(ValueError, match="time zone"):
        aval.webhooks.replay("7", since=datetime(2026, 1, 1))  # noqa: DTZ001  what is refused


# --- verification of webhooks -------------------------------------------------------------------------------


def signed(body: str, *, secret: str = SECRET, ago: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    signature = Webhook(secret).sign("msg_1", at, body)
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}


BODY = '{"id": "evt_1", "type": "verification.sent", "data": {"to": "9•• ••• 321"}}'
OTHER = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


def test_a_signed_webhook_is_its_event() -> None:
    assert verify_webhook(BODY.encode(), signed(BODY), SECRET)["id"] == "evt_1"


def test_either_of_two_signatures_is_enough() -> None:
    headers = signed(BODY)
    headers["Webhook-Signature"] = f"{signed(BODY, secret=OTHER)['Webhook-Signature']} {headers['Webhook-Signature']}"
    assert verify_webhook(BODY.encode(), headers, SECRET)["id"] == "evt_1"


@pytest.mark.parametrize(
    ("body", "headers_of"),
    [
        (BODY + " ", lambda: signed(BODY)),
        (BODY, lambda: signed(BODY, secret=OTHER)),
        (BODY, lambda: signed(BODY, ago=301)),
        (BODY, lambda: signed(BODY, ago=-900)),
        (BODY, lambda: {**signed(BODY), "Webhook-Id": "msg_2"}),
        (BODY, lambda: {**signed(BODY), "Webhook-Signature": "v1"}),
        (BODY, lambda: {**signed(BODY), "Webhook-Signature": "v1,x"}),
        (BODY, lambda: {**signed(BODY), "Webhook-Timestamp": "nan"}),
        (b"\xff", lambda: signed(BODY)),
        ("no json", lambda: signed("no json")),
        (BODY, dict),
    ],
)
def test_what_is_forged_or_old_is_refused(body: Any, headers_of: Callable[[], dict[str, str]]) -> None:
    """The headers are made in the test: their times are of the moment, not of the collection."""
    with pytest.raises(WebhookVerificationError):
        verify_webhook(body, headers_of(), SECRET)
