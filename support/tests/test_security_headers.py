"""Security headers of every answer, with or without a view, and the content security policy of each page."""

import pytest
from django.test import Client

from external_api.routing import CONTRACT_PREFIXES
from support.tests.cast import everything
from support.tests.url_map import body_of, real
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db

ALWAYS = {
    "X-Content-Type-Options": {"nosniff"},
    "X-Frame-Options": {"DENY"},
    "Referrer-Policy": {"same-origin", "no-referrer"},
    "Cross-Origin-Opener-Policy": {"same-origin"},
}
STRICT = {
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


def policy_of(answer):
    return set(answer["Content-Security-Policy"].split("; "))


def has_all(answer, path):
    for name, values in ALWAYS.items():
        assert answer.headers.get(name) in values, (path, name)
    assert "camera=()" in answer["Permissions-Policy"], path
    assert policy_of(answer) & STRICT >= {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"}, path


ANSWERS = {
    "a static file": ("/static/aval/icon.svg", {}, 200),
    "no such page": ("/nada", {}, 404),
    "no such file": ("/static/nada", {}, 404),
    "another host": ("/soporte/", {"Host": "otro.example"}, 400),
    "another host of a contract": ("/v1/api/status", {"Host": "otro.example"}, 400),
    "no text": ("/soporte/?q=%00", {}, 400),
    "no text below a contract": ("/v1/api/client/%00", {}, 400),
    "a contract": ("/v1/api/status", {}, 200),
    "to the login": ("/soporte/", {}, 302),
    "the reference": ("/referencia", {}, 200),
    "the document": ("/referencia/openapi.json", {}, 200),
    "the guide": ("/referencia/guia/", {}, 200),
    "a chapter": ("/referencia/guia/3-informaperu/", {}, 200),
    "no chapter": ("/referencia/guia/nada/", {}, 404),
    "a receipt": ("/recibos/whatsapp", {}, 403),
    "the outbox": ("/sandbox/messages", {}, 200),
    "a reader's page": ("/suscripcion", {}, 200),
    "a dead link": ("/suscripcion/baja/x", {}, 404),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_answers_without_a_view_have_the_headers_too(what):
    path, headers, status = ANSWERS[what]
    answer = Client(raise_request_exception=False).get(path, headers=headers)
    assert answer.status_code == status
    has_all(answer, path)
    answer.close()


def test_a_redirect_to_https_has_the_headers(settings):
    settings.SECURE_SSL_REDIRECT = True
    for headers in ({}, {"Host": "otro.example"}):
        answer = Client(raise_request_exception=False).get("/soporte/", headers=headers)
        assert answer.status_code == (400 if headers else 301)
        has_all(answer, "/soporte/")


@pytest.mark.parametrize("prefix", CONTRACT_PREFIXES)
def test_no_contract_redirects_to_https(settings, prefix):
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get(f"{prefix}/nothing")
    assert answer.status_code in (401, 404), "a client that follows a redirect would send its POST as a GET"
    assert "Location" not in answer.headers


@pytest.mark.parametrize("path", [*(f"{prefix}/nothing" for prefix in CONTRACT_PREFIXES), "/admin/login/"])
@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({}, "max-age=31536000"),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": True}, "max-age=31536000; includeSubDomains"),
        (
            {"SECURE_HSTS_INCLUDE_SUBDOMAINS": True, "SECURE_HSTS_PRELOAD": True},
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
def test_every_answer_over_https_asks_for_https(settings, path, more, value):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    for name, given in more.items():
        setattr(settings, name, given)
    assert Client().get(path, secure=True).headers["Strict-Transport-Security"] == value
    assert "Strict-Transport-Security" not in Client().get(path).headers


MIDDLEWARES = (
    "staff.middleware.Guard",
    "external_api.middleware.OverloadGuard",
    "whitenoise.middleware.WhiteNoiseMiddleware",
)


@pytest.mark.parametrize("where", MIDDLEWARES)
def test_an_error_page_has_the_headers(monkeypatch, where):
    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(f"{where}.__call__", broken)
    answer = Client(raise_request_exception=False).get("/admin/")
    assert answer.status_code == 500
    has_all(answer, where)


@pytest.fixture
def boss():
    return superuser_browser("jefa", raise_request_exception=False)


def test_every_page_of_the_staff_has_a_policy_and_runs_no_script_of_its_own_text(boss):
    everything("dato", [1])
    for path in real():
        answer = boss.get(path)
        html = body_of(answer).decode(errors="replace")
        has_all(answer, path)
        scripts = {each for each in policy_of(answer) if each.startswith("script-src")}
        assert scripts <= {"script-src 'self'", "script-src 'self' 'unsafe-eval'"}, path
        if not path.startswith("/admin/"):
            assert not any("unsafe" in each for each in policy_of(answer)), path
        if answer.status_code == 200 and "html" in answer["Content-Type"]:
            for tag in html.split("<script")[1:]:
                head = tag.split(">")[0]
                assert "src=" in head or 'type="application/json"' in head, (path, head)
            assert not any(f' {event}="' in html for event in ("onclick", "onchange", "onsubmit", "onload")), path


def test_a_page_without_scripts_allows_none():
    guide = ("/referencia/guia/", "/referencia/guia/1-introduccion/")
    for path in ("/admin/login/", "/suscripcion", "/suscripcion/baja/x", "/nada", "/v1/api/status", *guide):
        assert policy_of(Client().get(path)) == STRICT, path


def test_the_outbox_has_a_nonce_of_its_own_for_its_style():
    answers = [Client().get("/sandbox/messages") for _ in range(2)]
    nonces = [answer.content.decode().split('nonce="')[1].split('"')[0] for answer in answers]
    assert nonces[0] != nonces[1]
    for answer, nonce in zip(answers, nonces, strict=True):
        assert f"style-src 'self' 'nonce-{nonce}'" in policy_of(answer)
