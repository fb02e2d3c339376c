"""WSGI application: requests whose Content-Type names another codec than UTF-8 for their URL, and cheap settings."""

import json
import sys

import pytest
from django.conf import settings
from django.test import RequestFactory, override_settings

from config.handler import Handler, Request

CODECS = ["hex", "base64", "rot13", "undefined", "idna", "punycode", "unicode_escape", "utf-7", "utf-16", "nada"]
HOSTILE = [
    *(f"text/plain; charset={name}" for name in CODECS),
    "text/plain; x*=nada'es'%41",
    "text/plain; x*0*=hex''%41; x*1=y",
    "; ; =;*=;'",
    "a" * 20_000 + ";=",
    ";\xff*='",
    'text/plain; charset="\\',
    "text/plain; x*9999999999999999999999*=1",
]


def asked(address: str, content_type: str) -> Request:
    return Request(RequestFactory().get(address).environ | {"CONTENT_TYPE": content_type})


@pytest.mark.parametrize("content_type", HOSTILE)
def test_an_address_is_utf_8_whatever_the_content_type_says(content_type):
    request = asked("/soporte/?q=%5Cud800+%C3%B1", content_type)
    assert request.GET["q"] == "\\ud800 ñ"


@pytest.mark.parametrize("content_type", [*HOSTILE, "application/json; charset=utf-8"])
def test_a_thousand_parameters_are_no_fault_before_there_is_anybody_to_answer(db, content_type):
    request = asked("/v1/api/nada?" + "a=1&" * 1500, content_type)
    answer = Handler().get_response(request)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (404, "ERR_NOT_FOUND")


def test_the_server_runs_it():
    from config.wsgi import application

    assert isinstance(application, Handler)


def test_a_setting_is_read_without_a_call_in_python_and_means_the_same():
    import config.wsgi  # noqa: F401  for what it does to settings

    threads, calls = settings.WEB_THREADS, []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        assert threads == settings.WEB_THREADS
    finally:
        sys.setprofile(None)
    assert calls == []
    with override_settings(WEB_THREADS=threads + 1):
        assert threads + 1 == settings.WEB_THREADS
    assert threads == settings.WEB_THREADS
    assert not hasattr(settings, "NONE_OF_OURS")
    assert settings.is_overridden("WEB_THREADS")
