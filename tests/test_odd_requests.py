"""Unusual requests to the real web server: chunked bodies, and bytes outside ASCII."""

import base64
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlencode

import httpx
import pytest

from testkit.stack import SETTINGS, PartnerKeys, Stack

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
UNREADABLE = ["Bearer ñ".encode(), b"Bearer \xff\xfe", b"Bearer", "bearer é".encode("latin-1"), b"Bearer \x80abc"]


@pytest.fixture(scope="module")
def partner(_running: Stack) -> PartnerKeys:
    return _running.new_partner("Trozos")


def ask(stack: Stack, method: str, path: str, headers: Mapping[str, str | bytes], body: bytes = b"") -> tuple[int, str]:
    """Status and body of an answer; the body is sent in chunks of seven bytes."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Connection: close"]
    lines += [
        name.encode() + b": " + (text if isinstance(text, bytes) else text.encode()) for name, text in headers.items()
    ]
    if body:
        lines.append(b"Transfer-Encoding: chunked")
    with closing(socket.create_connection(("127.0.0.1", stack.port), timeout=20)) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        for start in range(0, len(body), 7):
            part = body[start : start + 7]
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        if body:
            connection.sendall(b"0\r\n\r\n")
        answer = connection.makefile("rb").read()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content.decode()


def test_chunks_arrive_at_every_contract(stack: Stack, partner: PartnerKeys) -> None:
    status, text = ask(stack, "POST", "/v1/api/client", JSON, json.dumps(stack.person()).encode())
    assert status == 201, text
    login = json.dumps({"username": "nadie", "password": "una-clave-larga"}).encode()
    assert "ERR_INVALID_CREDENTIALS" in ask(stack, "POST", "/v1/api/auth/login", JSON, login)[1]
    asked = {"token": partner.token, "usuario": "M", "solicitud": "clientes_autorizados"}
    assert ask(stack, "POST", "/api/v1", JSON, json.dumps(asked).encode())[0] == 200
    assert ask(stack, "POST", "/external/client/registry", JSON, b"{}")[0] == 401


def test_chunks_arrive_at_a_page(stack: Stack) -> None:
    page = httpx.get(f"{stack.url}/admin/login/", trust_env=False)  # another test may have logged in by the stack's own
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token
    form = urlencode({"username": "nadie", "password": "x", "csrfmiddlewaretoken": token[1]}).encode()
    cookies = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    status, text = ask(stack, "POST", "/admin/login/", {**FORM, "Cookie": f"{cookies}; otro=José"}, form)
    assert status == 401, text
    assert "csrfmiddlewaretoken" in text, "the form again: the name was read, and is wrong"


def test_chunks_arrive_where_providers_report(stack: Stack) -> None:
    """The body is read whole: the signature covers it, and it has the event's id."""
    body = json.dumps({"entry": [{"changes": [{"value": {"statuses": [{"id": "wamid.1", "status": "sent"}]}}]}]})
    signed = "sha256=" + hmac.new(SETTINGS["WHATSAPP_APP_SECRET"].encode(), body.encode(), hashlib.sha256).hexdigest()
    assert ask(stack, "POST", "/recibos/whatsapp", {**JSON, "X-Hub-Signature-256": signed}, body.encode())[0] == 204
    assert ask(stack, "POST", "/recibos/whatsapp", {**JSON, "X-Hub-Signature-256": "sha256=0"}, body.encode())[0] == 403
    mail, event = "/recibos/correo/postmark/tracking/", b'{"RecordType": "Delivery", "MessageID": "trozos-1"}'
    for password, expected in ((SETTINGS["ANYMAIL_WEBHOOK_SECRET"], 200), ("aval:otra", 403)):
        given = "Basic " + base64.b64encode(password.encode()).decode()
        status, text = ask(stack, "POST", mail, {**JSON, "Authorization": given}, event)
        assert status == expected, text
    [(state,)] = stack.sql("SELECT state FROM messaging_providerreceipt WHERE provider_id = 'trozos-1'")
    assert state == "DELIVERED"
    twilio = "/recibos/twilio/1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    assert ask(stack, "POST", twilio, FORM, b"MessageStatus=sent")[0] == 403, "as with a length: it is not signed"


def test_a_foreign_cookie_hides_no_receipt_and_no_login(stack: Stack) -> None:
    odd = {"Cookie": "otro=José".encode()}
    assert ask(stack, "GET", "/admin/login/", odd)[0] == 200
    assert ask(stack, "POST", "/recibos/whatsapp", {**JSON, **odd}, b"{}")[0] == 403
    assert ask(stack, "POST", "/recibos/correo/postmark/tracking/", {**JSON, **odd}, b"{}")[0] == 403


@pytest.mark.parametrize("value", UNREADABLE)
def test_a_credential_that_cannot_be_read_is_refused_and_never_absent(
    stack: Stack, partner: PartnerKeys, value: bytes
) -> None:
    """Contract 2 is open here: an absent one would pass."""
    client = stack.register()
    assert ask(stack, "GET", f"/v1/api/client/{client}/cooldown/S", {})[0] == 200
    assert ask(stack, "GET", f"/v1/api/client/{client}/cooldown/S", {"Authorization": value})[0] == 401
    body = json.dumps({"token": partner.token, "usuario": "M", "solicitud": "clientes_autorizados"})
    assert ask(stack, "POST", "/api/v1", {**JSON, "Authorization": value}, body.encode())[0] == 401
    assert ask(stack, "POST", "/external/client/registry", {**JSON, "Authorization": value}, b"{}")[0] == 401


def test_a_foreign_cookie_with_an_accent_is_no_fault(stack: Stack) -> None:
    status, _ = ask(stack, "GET", "/v1/api/status", {"Cookie": "otro=José".encode(), "X-Nombre": b"\xe9\xff"})
    assert status == 200
