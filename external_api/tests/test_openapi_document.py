"""OpenAPI document: valid, complete in both directions, and its examples match their schemas."""

import re

import pytest
from django.conf import settings
from django.urls import get_resolver, resolve
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from external_api.frontdoor import errors
from external_api.frontdoor.views import UnknownPath
from external_api.informaperu.contract import TABLE as INFORMAPERU
from external_api.nopasanada.contract import TABLE as NOPASANADA
from external_api.nopasanada.serializers import FAULTS
from external_api.openapi import registry
from external_api.openapi.generator import ContractGenerator, document
from external_api.partners.contract import TABLE as PARTNERS
from external_api.registry.contract import TABLE as REGISTRY
from external_api.registry.views import RegistryView
from external_api.routing import CONTRACT_PREFIXES
from external_api.tests.openapi_document import content_of, examples, faults, operations

OPERATIONS = operations()
EACH = pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])


def contents(operation):
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    return [content_of(each) for each in [*bodies, *operation["responses"].values()] if "content" in each]


def test_it_is_openapi_3_1():
    assert document()["openapi"] == "3.1.0"
    validate_schema(document())


@EACH
def test_every_schema_is_json_schema_and_every_example_fits_its_own(path, method, operation):
    for content in contents(operation):
        Draft202012Validator.check_schema(content["schema"])
        for name, value in examples({"content": {"application/json": content}}).items():
            assert faults(content["schema"], value) == [], name
    for parameter in operation.get("parameters", []):
        Draft202012Validator.check_schema(parameter["schema"])
        if "example" in parameter:
            assert faults(parameter["schema"], parameter["example"]) == []


@EACH
def test_every_response_has_an_example_and_a_description(path, method, operation):
    assert operation["summary"]
    assert operation["description"]
    for status, response in operation["responses"].items():
        assert status == "204" or examples(response), status
        assert len(response["description"]) > (5 if status == "204" else 10), status


def routes():
    """The URL map's own: name -> view, of all below the four URL spaces that is an endpoint."""
    found = {}
    for included in get_resolver().url_patterns:
        if "/" + str(included.pattern) in CONTRACT_PREFIXES:
            for route in included.url_patterns:
                if not issubclass(route.callback.cls, UnknownPath):
                    found[route.name] = route.callback.cls
    return found


def test_every_route_is_in_it_and_nothing_else():
    documented = {}
    for path, item in document()["paths"].items():
        for slash in ("", "/"):
            match = resolve(re.sub(r"\{\w+\}", "x", path) + slash)
            documented[match.url_name] = (match.func.cls, sorted(item))
    assert documented == {
        name: (view, sorted(set(view().http_method_names) - {"head"})) for name, view in routes().items()
    }
    assert len(documented) == 29


def test_every_path_parameter_is_described():
    for path, _, operation in OPERATIONS:
        named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def texts_in(prefix):
    return "\n".join(
        response["description"]
        for path, _, operation in OPERATIONS
        if path.startswith(prefix)
        for response in operation["responses"].values()
    )


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("/api/v1", {text for error, (_, text) in NOPASANADA.items() if error is not errors.NoSuchPath}),
        ("/v1/api", {f"{row.code}." for row in INFORMAPERU.values()}),
        ("/external", {f"{row.title}." for error, row in REGISTRY.items() if error is not errors.NoSuchPath}),
        ("/partners/v1", {f"{row.code}." for error, row in PARTNERS.items() if error is not errors.NoSuchPath}),
    ],
)
def test_every_row_of_the_contracts_tables_is_in_it(prefix, names):
    """But for the 404 of a path that is no endpoint, which the introduction describes where no endpoint can meet it."""
    assert {name for name in names if f"**{name}**" not in texts_in(prefix)} == set()
    assert "(404)" in document()["info"]["description"]


def test_every_fault_of_a_row_is_in_it():
    (_, _, operation) = next(each for each in OPERATIONS if each[0] == "/api/v1")
    text = str(operation["responses"]["207"])
    assert {fault for fault in FAULTS if fault not in text} == set()


def test_statuses_of_every_endpoint_with_a_body():
    for _, _, operation in OPERATIONS:
        if "requestBody" in operation:
            assert {"400", "401", "405", "413", "415", "429", "500", "503"} <= set(operation["responses"])
        else:
            assert {"405", "500", "503"} <= set(operation["responses"])


def test_waits_and_methods_are_in_headers():
    for _, _, operation in OPERATIONS:
        responses = operation["responses"]
        assert responses["405"]["headers"]["Allow"]["required"]
        assert responses["503"]["headers"]["Retry-After"]["required"]
        if "429" in responses:
            assert responses["429"]["headers"]["Retry-After"]["required"]


def test_operation_ids_are_unique_and_links_lead_to_them():
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    links = [
        link
        for _, _, operation in OPERATIONS
        for each in operation["responses"].values()
        for link in each.get("links", {}).values()
    ]
    assert links
    assert {link["operationId"] for link in links} <= set(ids)


def test_security_of_every_operation_is_documented():
    schemes = set(document()["components"]["securitySchemes"])
    for path, _, operation in OPERATIONS:
        assert {name for each in operation["security"] for name in each} <= schemes
        if path.startswith("/v1/api/admin"):
            assert operation["security"] == [{"jwtPersonal": []}]
        if path.startswith("/external"):
            assert operation["security"] == [{"jwtEmpresa": []}]


@pytest.mark.parametrize("is_open", [True, False])
def test_contract_2_asks_for_a_credential_where_it_is_closed(settings, is_open):
    settings.INFORMAPERU_OPEN = is_open
    made = ContractGenerator().get_schema(public=True)["paths"]["/v1/api/client"]["post"]["security"]
    assert made == [*([{}] if is_open else []), {"tokenEmpresa": []}, {"jwtEmpresa": []}]


def test_an_endpoint_without_a_description_stops_the_document(monkeypatch):
    monkeypatch.delitem(registry.OPERATIONS, RegistryView)
    with pytest.raises(KeyError):
        ContractGenerator().get_schema(public=True)


def test_it_is_served_as_json_with_this_installation_as_its_server(client):
    answer = client.get("/referencia/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == document()
    assert answer.json()["servers"][0]["url"] == settings.PUBLIC_URL
    guide = answer.json()["externalDocs"]["url"]
    assert client.get(guide.removeprefix(settings.PUBLIC_URL)).status_code == 200, guide
    assert client.post("/referencia/openapi.json").status_code == 405


def test_the_page_names_no_other_host_and_forbids_them(client):
    answer = client.get("/referencia/")
    assert answer.content == client.get("/referencia").content
    assert answer.status_code == 200
    assert not re.search(r"https?:|//", answer.content.decode().replace("</", ""))
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert set(re.findall(r"https?:|\*|unsafe-\w+", policy)) == set()
