"""The memory of a body is freed with its request, without Python's garbage collector."""

import gc
import io
import tracemalloc

import pytest
from django.test import RequestFactory

from config.handler import Handler, Request

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024
SIZE = 7 * MIB
BODIES = {
    "no credential": b'{"usuario":"a","b":"%s"}' % (b"x" * SIZE),
    "wrong token": b'{"token":"x","usuario":"a","b":"%s"}' % (b"x" * SIZE),
    "broken": b'{"token":"x","usuario":"a","b":"%s"' % (b"x" * SIZE),
    "not UTF-8": b'{"token":"x","usuario":"a","b":"%s\xff"}' % (b"x" * SIZE),
    "bomb": b'{"token":"x","clientes":[%s{}]}' % (b"{}," * (SIZE // 3)),
    "wide text": b'{"token":"x","usuario":"a","b":"%s"}' % ("\U0001f600".encode() * (SIZE // 4)),
}


@pytest.fixture
def handler():
    made = Handler()
    made.load_middleware()
    return made


@pytest.mark.parametrize("path", ["/api/v1", "/v1/api/client", "/external/client/registry", "/suscripcion"])
@pytest.mark.parametrize("name", BODIES)
def test_a_large_body_is_freed_with_its_request(handler, path, name):
    def call():
        environ = RequestFactory().post(path, BODIES[name], content_type="application/json").environ
        environ["wsgi.input"] = io.BytesIO()
        environ["wsgi.input"].write(BODIES[name])
        environ["wsgi.input"].seek(0)
        response = handler.get_response(Request(environ))
        response.close()
        environ["wsgi.input"].close()  # as the web server does
        assert 400 <= response.status_code < 500

    call()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            call()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < 3 * MIB, f"{(after - before) / MIB:.0f} MiB"
