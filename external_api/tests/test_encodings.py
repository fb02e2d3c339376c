"""Bodies as programs encode them: a byte order mark is dropped, a compressed body is refused with the right words."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from conftest import EXTERNAL_CLIENT, REGISTRATION

BOM = b"\xef\xbb\xbf"


def send(path: str, body: bytes, token: str = "", **headers: str) -> Any:
    credential = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(raise_request_exception=False).post(
        path, data=body, content_type="application/json", headers={**credential, **headers}
    )


@pytest.fixture
def calls(nopasanada: Any, informa: Any, registry: Any) -> dict[str, tuple[str, dict[str, Any], str]]:
    """A good call of each contract: path, body, credential."""
    listing = {"solicitud": "clientes_autorizados", "usuario": "MAQ-001"}
    return {
        "nopasanada": ("/api/v1", listing, nopasanada.token),
        "informaperu": ("/v1/api/client", REGISTRATION, informa.token),
        "registry": ("/external/client/registry", EXTERNAL_CLIENT, registry.jwt),
    }


CONTRACTS = ["nopasanada", "informaperu", "registry"]


@pytest.mark.django_db
@pytest.mark.parametrize(("contract", "status"), [("nopasanada", 200), ("registry", 200), ("informaperu", 400)])
def test_a_byte_order_mark_is_dropped_but_for_contract_2(calls, contract, status):
    path, body, token = calls[contract]
    assert send(path, BOM + json.dumps(body).encode(), token).status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("body", [BOM * 2 + b"{}", b"{}" + BOM, BOM, b"\xff\xfe{\x00}\x00"], ids=ascii)
def test_other_marks_are_no_json(calls, contract, body):
    path, _, token = calls[contract]
    assert send(path, body, token).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "x-nada"])
def test_a_compressed_body_is_415(calls, contract, coding):
    path, body, token = calls[contract]
    answer = send(path, gzip.compress(json.dumps(body).encode()), token, **{"Content-Encoding": coding})
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "identity")
    assert "El cuerpo debe enviarse sin comprimir, sin Content-Encoding." in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("coding", ["identity", "Identity ", ""])
def test_identity_is_no_compression(calls, contract, coding):
    path, body, token = calls[contract]
    answer = send(path, json.dumps(body).encode(), token, **{"Content-Encoding": coding})
    assert answer.status_code in (200, 201)
