"""Ways to the partners' guide: the header of a 401, and what the admin says of a new key."""

import pytest
from django.test import Client

from clients.admin.credentials import ACCEPTED_BY
from clients.models import Contract, Credential
from external_api.models import PARTNERS_API
from external_api.openapi.generator import document
from external_api.routing import CONTRACT_PREFIXES

pytestmark = pytest.mark.django_db


def refused_by_each_contract():
    http = Client(headers={"Authorization": "Bearer no-es"})
    return {
        Contract.NOPASANADA: http.post("/api/v1", {"solicitud": "alta"}, "application/json"),
        Contract.INFORMAPERU: http.post("/v1/api/client", {}, "application/json"),
        Contract.REGISTRY: http.post("/external/client/registry", {}, "application/json"),
        "staff": http.get("/v1/api/admin/clients"),
    }


def test_a_401_of_every_contract_links_to_it(settings):
    settings.PUBLIC_URL = "https://aval.pe"
    for contract, answer in refused_by_each_contract().items():
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), contract
        assert answer["Link"] == '<https://aval.pe/referencia/guia/>; rel="help"', contract


def test_other_errors_do_not():
    for answer in (Client().get("/api/v1"), Client().get("/v1/api/nada"), Client().get("/external/x")):
        assert answer.status_code in (404, 405)
        assert "Link" not in answer


def test_the_document_names_the_link_and_promises_nothing():
    for path, item in document()["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                headers = response.get("headers", {})
                assert ("Link" in headers) is ("WWW-Authenticate" in headers), (path, status)
                assert "required" not in headers.get("Link", {}), path


def test_the_admin_names_the_contracts_that_accept_a_kind_of_key():
    accepting = {
        kind: {each.name for each in CONTRACT_PREFIXES.values() if kind in each.credential_kinds} - {PARTNERS_API}
        for kind in Credential.Kind.values
    }
    assert {kind: {each.value for each in contracts} for kind, contracts in ACCEPTED_BY.items()} == accepting
