"""Overload guard: `/status` finds a thread whatever hangs, others get a 503, and mere load causes none."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from external_api.middleware import OverloadGuard


@pytest.fixture
def hanging_guard(settings):
    settings.WEB_THREADS = 2
    go = threading.Event()

    def view(request):
        if request.path == "/v1/api/client":
            go.wait(20)
        return HttpResponse("ok")

    middleware = OverloadGuard(view)
    with ThreadPoolExecutor(2) as pool:
        stuck = [pool.submit(middleware, RequestFactory().post("/v1/api/client")) for _ in range(2)]
        while len(middleware._since) < 2:
            time.sleep(0.001)
        yield middleware
        go.set()
        assert [each.result().status_code for each in stuck] == [200, 200]


def test_status_is_answered_and_others_get_503_with_retry_after(hanging_guard):
    assert hanging_guard(RequestFactory().get("/v1/api/status/")).status_code == 200
    started = time.monotonic()
    answer = hanging_guard(RequestFactory().post("/v1/api/client/x/cancel"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b'"code":"ERR_UNAVAILABLE"' in answer.content
    assert 1.2 < time.monotonic() - started < 2.5
    started = time.monotonic()
    assert hanging_guard(RequestFactory().get("/v1/api/nothing")).status_code == 503
    assert time.monotonic() - started < 0.4, "once it is known to hang, no request waits long"
    assert hanging_guard(RequestFactory().get("/admin/")).status_code == 503


def test_under_mere_load_every_request_waits_and_is_answered(settings):
    settings.WEB_THREADS = 2
    middleware = OverloadGuard(lambda request: time.sleep(0.05) or HttpResponse("ok"))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: middleware(RequestFactory().get("/v1/api/x")).status_code, range(60)))
    assert answers == [200] * 60


def test_two_slow_calls_cause_no_503_while_others_finish(settings):
    settings.WEB_THREADS = 4
    middleware = OverloadGuard(lambda request: time.sleep(float(request.GET["for"])) or HttpResponse("ok"))

    def call(seconds):
        return middleware(RequestFactory().get("/v1/api/x", {"for": seconds})).status_code

    with ThreadPoolExecutor(12) as pool:
        slow = [pool.submit(call, 2.5) for _ in range(2)]
        others = list(pool.map(lambda _: call(0.05), range(90)))
        assert others == [200] * 90
        assert [each.result() for each in slow] == [200, 200]
