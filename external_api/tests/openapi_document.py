"""Check of an answer against the strict form of the OpenAPI document, for its tests."""

from typing import Any

from jsonschema import Draft202012Validator

from external_api.openapi.generator import strict_document

CHECKER = Draft202012Validator.FORMAT_CHECKER


def operation(path: str, method: str = "post") -> dict[str, Any]:
    return strict_document()["paths"][path][method]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, each) for path, item in strict_document()["paths"].items() for method, each in item.items()]


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=CHECKER)
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(value)]


def request_example(path: str, name: str = "documento", method: str = "post") -> Any:
    return operation(path, method)["requestBody"]["content"]["application/json"]["examples"][name]["value"]


def content_of(response: dict[str, Any]) -> dict[str, Any]:
    """Schema and examples of a response or of a request's body, which have one media type."""
    (content,) = response["content"].values()
    found: dict[str, Any] = content
    return found


def examples(response: dict[str, Any]) -> dict[str, Any]:
    return {name: each["value"] for name, each in content_of(response).get("examples", {}).items()}


def conforming(answer: Any, path: str, method: str = "post", body: Any = None) -> Any:
    """The answer's body, once its status, media type, headers and body are as documented."""
    responses = operation(path, method)["responses"]
    assert str(answer.status_code) in responses, answer.content
    response = responses[str(answer.status_code)]
    if "content" not in response:
        assert not answer.content
        return None
    assert answer.headers["Content-Type"] in response["content"]
    for name, header in response.get("headers", {}).items():
        assert name in answer.headers or not header.get("required"), name
        if name in answer.headers and header["schema"]["type"] == "string":
            assert faults(header["schema"], answer.headers[name]) == [], name
    body = answer.json() if body is None else body
    assert faults(content_of(response)["schema"], body) == []
    return body
