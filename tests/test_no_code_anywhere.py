"""A code is in its message and nowhere else: no answer, log line, Redis key, row or staff page has it.

The test does everything that can happen to a code and then searches for these codes. Only codes with a digit and two
letters after F take part: no word, number, date or hexadecimal id looks like them, and a long random text (a seal, a
cookie) does so once in a million runs.
"""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Sequence

import httpx
import pytest

from config.run.processes import wait_until
from messaging.queue.sealing import unseal
from testkit.code_search import everything_in_redis, everything_in_the_database, findings, searchable
from testkit.stack import Asked, Call, Stack
from tokens import codes


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1/api/client/e2f0/verify/7KQ2 HTTP/1.1",
        "GET /v1/api/client/e2f0/verify/7kq2/",
        "path=%2Fverify%2F7KQ2",
        '{"message": "Su código es\\n7KQ2"}',
        "7. K. Q. 2.",
        "token:0f5f8c52-9d5c-4f5c-8a43-1f7f1c7a2f60-7KQ2",
        "codigo7KQ2",
        json.dumps({"body": base64.b64encode(b'[["7KQ2"], {}, null]').decode()}),
    ],
)
def test_the_search_finds_planted_codes(text: str) -> None:
    assert findings({"planted": text}, ["7KQ2", "9ZZ9"])


def test_the_search_has_no_false_findings() -> None:
    wanted = [code for code in (codes.generate() for _ in range(40)) if searchable(code)]
    noise = "".join(
        f"{secrets.token_hex(16)} {secrets.token_urlsafe(32)} 2026-02-12T15:30:00.{n:03}Z\n" for n in range(999)
    )
    assert findings({"noise": noise}, wanted) == []


def staff_pages(stack: Stack, asked: Sequence[Asked]) -> None:
    """Read everything about these clients by the staff API, and every kind of admin page."""
    name, password = f"agente{stack.number()}", "una-clave-para-la-prueba"
    stack.environment |= {"DJANGO_SUPERUSER_PASSWORD": password}
    stack.manage("createsuperuser", "--noinput", "--username", name, "--email", "agente@example.com")
    login = stack.send(Call("POST", "/auth/login", {"username": name, "password": password}))
    bearer = {"Authorization": f"Bearer {login.json()['token']}"}
    for path in ("/admin/messages", "/admin/clients", *(f"/admin/clients/{each.client}" for each in asked)):
        assert stack.send(Call("GET", path, more=bearer)).status_code == 200, path
    stack.http.get("/admin/login/")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": stack.http.cookies["csrftoken"]}
    stack.http.post("/admin/login/", data=form, headers={"Referer": stack.url})
    assert len(_crawl(stack, "/admin/")) > 20


def _crawl(stack: Stack, start: str) -> set[str]:
    """Visit the first page of every kind within three links: lists begin with the rows of this test."""
    seen: dict[str, str] = {}
    ahead = [start]
    for _ in range(4):
        pages = {_kind(path): path for path in reversed(ahead) if _kind(path) not in seen}
        seen |= pages
        ahead = []
        for path in pages.values():
            page = stack.http.get(path)
            if page.status_code == 200:
                ahead += re.findall(r'href="(/admin/[^"#?]*)"', page.text)
        ahead = [each for each in ahead if "logout" not in each and "password" not in each]
    return set(seen.values())


def _kind(path: str) -> str:
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "*", path)


# --- the life of codes ---


class Run:
    """Actions on codes, with a record of every answer but the outbox's."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.wanted: list[str] = []
        self.texts: dict[str, str] = {}

    def record(self, answer: httpx.Response) -> None:
        answer.read()
        where = f"answer {len(self.texts)} to {answer.request.method} {answer.request.url.path}"
        self.texts[where] = f"{answer.status_code} {dict(answer.headers)} {answer.text}"

    def record_stores(self, when: str) -> None:
        for where, text in (everything_in_redis(self.stack) | everything_in_the_database(self.stack)).items():
            self.texts[f"{when}: {where}"] = text

    def new_code(self, via: str = "S") -> tuple[Asked, str]:
        """A client and its code, read from its seal while the worker is frozen."""
        while True:
            each = Asked(self.stack.register(), self.stack.phone())
            code = self.ask(each, via)
            if code:
                return each, code

    def ask(self, each: Asked, via: str) -> str:
        assert self.stack.ask(each.client, each.phone, via).status_code == 200
        rows = self.stack.sql(
            "SELECT m.sealed FROM messaging_message m JOIN tokens_verificationtoken t ON t.id = m.reference"
            " WHERE t.applicant_id = %s ORDER BY t.created_at DESC LIMIT 1",
            each.client,
        )
        code = unseal(rows[0][0])
        if not searchable(code):
            return ""
        self.wanted.append(code)
        return code

    def wrong_codes(self, times: int) -> list[str]:
        """Wrong codes, which must not be stored either: they may be other clients' codes."""
        made: list[str] = []
        while len(made) < times:
            made += [code for code in (codes.generate(),) if searchable(code)]
        self.wanted += made
        return made

    def verify_all(self, each: Asked, *typed: str) -> list[tuple[int, str]]:
        answers = [self.stack.verify(each.client, text) for text in typed]
        return [(answer.status_code, answer.json().get("code", "")) for answer in answers]


@pytest.fixture
def run(stack: Stack) -> Iterator[Run]:
    run = Run(stack)
    stack.http.event_hooks = {"response": [run.record]}
    yield run
    stack.http.event_hooks = {}


def test_a_code_is_found_nowhere_but_in_its_message(stack: Stack, run: Run) -> None:
    stack.worker.freeze()
    failing = run.new_code("S")
    early, replaced, mailed = run.new_code("W"), run.new_code("W"), run.new_code("C")
    guessed, used_up, cancelled = run.new_code("S"), run.new_code("I"), run.new_code("I")
    assert run.verify_all(early[0], early[1]) == [(200, "")], "an answer may overtake its message's delivery"
    run.record_stores("while all wait")
    with stack.database(autocommit=False) as provider:
        provider.execute("LOCK TABLE messaging_sandboxmessage IN EXCLUSIVE MODE")
        stack.worker.thaw()
        assert wait_until(lambda: stack.states([failing[0]])[failing[0].phone] == "UNKNOWN", 20)
    gone = [each for each, _ in (replaced, guessed, used_up, cancelled)]
    assert wait_until(lambda: set(stack.states(gone).values()) <= {"SENT", "UNKNOWN"}, 20)

    _verify_while_the_row_is_locked(stack, run, *failing)
    _send_odd_requests(stack, *guessed)
    assert run.verify_all(guessed[0], *run.wrong_codes(3), guessed[1])[-1] == (200, ""), (
        "one try was among the odd ways"
    )
    assert run.verify_all(used_up[0], *run.wrong_codes(5), used_up[1])[-1] == (400, "ERR_NO_PENDING_TOKEN")
    stack.send(Call("POST", f"/client/{cancelled[0].client}/cancel"))
    assert run.verify_all(cancelled[0], cancelled[1]) == [(400, "ERR_NO_PENDING_TOKEN")]
    stack.worker.freeze()  # or code and seal would be gone before they are read
    run.ask(replaced[0], "I")
    stack.worker.thaw()
    assert run.verify_all(replaced[0], replaced[1]) == [(400, "ERR_INVALID_TOKEN")]
    assert run.verify_all(mailed[0], mailed[1].lower()) == [(200, "")]

    staff_pages(stack, [failing[0], early[0], mailed[0], *gone])
    run.record_stores("at the end")
    run.texts |= {f"log {name}": text for name, text in stack.logs().items()}
    assert {"log web.log", "log worker.log", "log beat.log", "log postgres.log"} <= run.texts.keys()
    assert findings(run.texts, run.wanted) == []


def _verify_while_the_row_is_locked(stack: Stack, run: Run, each: Asked, code: str) -> None:
    """Verify with the row locked: 503 after PostgreSQL's lock_timeout, which is logged; the code stays valid."""
    with stack.database(autocommit=False) as connection:
        connection.execute("SELECT FROM clients_applicant WHERE id = %s FOR UPDATE", [each.client])
        assert run.verify_all(each, code) == [(503, "ERR_UNAVAILABLE")]
    assert run.verify_all(each, code) == [(200, "")]


def _send_odd_requests(stack: Stack, each: Asked, code: str) -> None:
    """Send paths with a code that no endpoint accepts: no log may contain them."""
    path = f"/client/{each.client}/verify/{code}"
    odd = [Call(method, path) for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")]
    odd += [Call("GET", f"{path}/{code}"), Call("GET", f"/client/{code}/verify/{code}"), Call("GET", f"{path}%00")]
    odd += [Call("GET", f"/client/{each.client}/cooldown/{code}"), Call("GET", f"/status?token={code}")]
    odd += [
        Call("GET", path, more={"Host": "elsewhere.example"}),
        Call("GET", path, more={"Authorization": f"Bearer {code}"}),
    ]
    odd += [Call("POST", f"/client/{each.client}/token", {"via": code})]
    for call in odd:
        answer = stack.send(call)
        assert 200 <= answer.status_code < 500, (call.method, answer.text)
    for text in (f"GET /v1/api{path} HTTP/9.9", f"GET /v1/api{path} x HTTP/1.1", f"BREW /v1/api{path} HTTP/1.1"):
        stack.exchange_raw(f"{text}\r\nHost: localhost\r\nConnection: close\r\n\r\n")
