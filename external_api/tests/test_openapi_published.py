"""Published form of the OpenAPI document: what programs of partners are generated from."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from external_api.informaperu.contract import TABLE as INFORMAPERU
from external_api.nopasanada.contract import TABLE as NOPASANADA
from external_api.openapi.forms import Named, published
from external_api.openapi.generator import document, strict_document
from external_api.partners.contract import KEY_OF_ANOTHER_REQUEST
from external_api.partners.contract import TABLE as PARTNERS
from external_api.registry.contract import TABLE as REGISTRY
from external_api.tests.openapi_document import CHECKER, content_of, examples, faults

COMPONENTS = document()["components"]
SCHEMAS = COMPONENTS["schemas"]
OPERATIONS = [(path, method, each) for path, item in document()["paths"].items() for method, each in item.items()]
EACH = pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])


def faults_as_published(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator({**schema, "components": COMPONENTS}, format_checker=CHECKER)
    return [fault.message for fault in validator.iter_errors(value)]


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document but those of its examples."""
    if isinstance(node, dict):
        yield node
        for key, each in node.items():
            if key not in ("examples", "example"):
                yield from parts(each)
    elif isinstance(node, list):
        for each in node:
            yield from parts(each)


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "requestBody" in operation:
        yield "body", operation["requestBody"]
    yield from ((status, each) for status, each in operation["responses"].items() if "content" in each)


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = content_of(content)["schema"]
    return schema


def test_both_forms_are_openapi_3_1_and_json() -> None:
    for each in (document(), strict_document()):
        validate_schema(each)
        assert json.loads(json.dumps(each)) == each


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = {part["$ref"] for part in parts(document()) if "$ref" in part}
    used |= {target for part in parts(document()) for target in part.get("mapping", {}).values()}
    made = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in COMPONENTS[kind]}
    assert used == made
    assert "$ref" not in json.dumps(strict_document())


def test_names_are_ascii() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch(r"(?:[A-Z][a-z]+)+", name)] == []
    assert all(schema["title"] == name for name, schema in SCHEMAS.items())
    tags = [tag["name"] for tag in document()["tags"]]
    assert all(tag.isascii() for tag in tags)
    assert {tag for _, _, operation in OPERATIONS for tag in operation["tags"]} == set(tags)


def test_every_part_of_a_choice_has_a_name() -> None:
    choices = [each for part in parts(document()) for kind in ("oneOf", "anyOf") for each in part.get(kind, [])]
    assert choices
    assert [each for each in choices if not ("$ref" in each or "title" in each)] == []


@EACH
def test_bodies_are_named_and_no_object_stands_in_place(path: str, method: str, operation: dict[str, Any]) -> None:
    """A generator would invent a name for it."""
    assert [part for part in parts(operation) if part.get("type") == "object"] == []
    for name, content in contents(operation):
        schema = schema_of(content)
        assert all("$ref" in each for each in schema.get("anyOf", schema.get("oneOf", [schema]))), name


def test_objects_of_components_hold_no_unnamed_object() -> None:
    inner = {name: list(parts(schema))[1:] for name, schema in SCHEMAS.items()}
    assert {name for name, found in inner.items() if any(part.get("type") == "object" for part in found)} == set()


def test_published_objects_are_open_and_strict_ones_closed() -> None:
    assert [part for part in parts(document()) if part.get("additionalProperties") is False] == []
    answers = [
        schema_of(content)
        for item in strict_document()["paths"].values()
        for operation in item.values()
        for content in operation["responses"].values()
        if "content" in content
    ]
    objects = [part for schema in answers for part in parts(schema) if part.get("type") == "object"]
    assert objects
    assert [part for part in objects if "additionalProperties" not in part] == []


@EACH
def test_examples_fit_both_forms_and_a_further_key_only_the_published_one(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    strict = strict_document()["paths"][path][method]
    for (name, content), (_, strict_content) in zip(contents(operation), contents(strict), strict=True):
        assert examples(content) == examples(strict_content)
        for example in examples(content).values():
            assert faults_as_published(schema_of(content), example) == [], name
            assert faults(schema_of(strict_content), example) == [], name
            if name != "body":
                later = {**example, "clave_nueva": 1}
                assert faults_as_published(schema_of(content), later) == [], name
                assert faults(schema_of(strict_content), later) != [], name


@EACH
def test_an_error_is_of_its_status_in_the_strict_form_and_of_its_contract_in_the_published_one(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    strict = strict_document()["paths"][path][method]["responses"]
    of_status = {status: examples(response) for status, response in strict.items() if status in ("405", "500")}
    assert len(of_status) == (2 if "405" in strict else 1)
    for status, response in operation["responses"].items():
        if int(status) > 400 and path != "/v1/api/status":
            assert schema_of(response)["$ref"].startswith("#/components/schemas/Error"), status
    for example in of_status.get("405", {}).values():
        assert faults(schema_of(strict["500"]), example) != []
        assert faults_as_published(schema_of(operation["responses"]["500"]), example) == []


@pytest.mark.parametrize(
    ("component", "words"),
    [
        ("CodigoDeErrorInformaPeru", {row.code for row in INFORMAPERU.values()}),
        ("TituloDeErrorRegistro", {row.title for row in REGISTRY.values()}),
        ("CodigoDeErrorRegistro", {str(row.status) for row in REGISTRY.values()} | {"422"}),
        ("CodigoDeProblema", {row.code for row in (*PARTNERS.values(), KEY_OF_ANOTHER_REQUEST)}),
        (
            "TextoDeErrorNoPasaNada",
            {text for _, text in NOPASANADA.values()} | {"Idempotency-Key usada con otra solicitud."},
        ),
    ],
)
def test_the_published_error_lists_all_of_its_contract(component: str, words: set[str]) -> None:
    assert set(SCHEMAS[component]["enum"]) == words


def test_a_list_without_rows_is_of_neither_query() -> None:
    """Both queries answer it alike, so it has one name; the rows tell them apart by their required keys."""
    answers = schema_of(dict(contents(document()["paths"]["/api/v1"]["post"]))["200"])
    assert [each["$ref"].rsplit("/")[-1] for each in answers["anyOf"]] == ["AltaBajaRespuesta", "ListaRespuesta"]
    client, message = SCHEMAS["ClienteAutorizado"]["required"], SCHEMAS["MensajeEnviado"]["required"]
    assert set(client).isdisjoint(message)
    empty = {"id_solicitud": 1, "resultados": {"cuenta": 0, "data": []}, "timestamp": "2025-12-14 19:57:41.077390"}
    assert faults_as_published(answers, empty) == []
    assert faults_as_published({"$ref": "#/components/schemas/AltaBajaRespuesta"}, empty) != []


@EACH
def test_headers_of_every_answer(path: str, method: str, operation: dict[str, Any]) -> None:
    names = ["Request-Id", *([] if path == "/v1/api/status" else ["RateLimit-Policy", "RateLimit"])]
    for response in operation["responses"].values():
        referred = {name: each["$ref"] for name, each in response["headers"].items() if "$ref" in each}
        assert referred == {name: f"#/components/headers/{name}" for name in names}
    for header in COMPONENTS["headers"].values():
        assert faults(header["schema"], header["example"]) == []
    for status, response in strict_document()["paths"][path][method]["responses"].items():
        if "RateLimit-Policy" in names:
            reached = status not in ("400", "413", "500", "503")
            assert response["headers"]["RateLimit-Policy"]["required"] is reached, status


def test_the_operators_staff_stand_last() -> None:
    last = document()["tags"][-1]
    assert last["name"] == "Personal de Aval"
    assert "no para empresas" in last["description"]


def test_a_name_of_two_different_schemas_is_refused() -> None:
    twice = {"a": Named("Uno", {"type": "string"}), "b": Named("Uno", {"type": "integer"})}
    with pytest.raises(ValueError, match="Uno is the name of two different schemas"):
        published(twice)


def test_a_general_schema_is_published_in_place_of_its_narrow_ones() -> None:
    whole = {"type": "string", "enum": ["a", "b"]}
    narrow = [Named("Letra", {"const": letter}, general=whole) for letter in "ab"]
    made = published({"paths": narrow})
    assert made["paths"] == [{"$ref": "#/components/schemas/Letra"}] * 2
    assert made["components"]["schemas"] == {"Letra": {"title": "Letra", **whole}}
