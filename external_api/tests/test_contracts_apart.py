"""Calls of the contracts go past the middleware of pages."""

import pytest
from django.conf import settings
from django.test import Client
from django.utils.module_loading import import_string

APART = "external_api.middleware.ContractsApart"
OF_BOTH = "django.middleware.common.CommonMiddleware"
OF_PAGES = [name for name in settings.MIDDLEWARE[settings.MIDDLEWARE.index(APART) + 1 :] if name != OF_BOTH]
CONTRACT_PATHS = ["/v1/api/status", "/v1/api/nada", "/api/v1", "/external/client/registry"]


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the middleware of pages that a request has reached."""
    found: list[str] = []

    def noting(name: str, call: object) -> object:
        def noted(self: object, request: object) -> object:
            found.append(name)
            return call(self, request)  # type: ignore[operator]

        return noted

    for name in OF_PAGES:
        kind = import_string(name)
        monkeypatch.setattr(kind, "__call__", noting(name, kind.__call__))
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("path", CONTRACT_PATHS)
@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_a_call_reaches_none_of_it(reached: list[str], path: str, method: str) -> None:
    answer = getattr(Client(), method)(path)
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == str(len(answer.content))
    assert reached == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/soporte/", "/v1", "/v1/apis", "/externals"])
def test_a_page_reaches_all_of_it(reached: list[str], path: str) -> None:
    Client().get(path)
    assert set(reached) == set(OF_PAGES)


@pytest.mark.django_db
@pytest.mark.parametrize("path", CONTRACT_PATHS)
def test_a_wrong_host_is_answered_in_the_envelope(path: str) -> None:
    answer = Client(raise_request_exception=False).get(path, HTTP_HOST="otro.example")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
