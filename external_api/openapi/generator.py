"""OpenAPI generator: drf-spectacular walks our routes; the descriptions are in this package, beside the contracts.

A route of a contract without a description stops the document: it must not be left out in silence.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from external_api.frontdoor.views import ContractView, UnknownPath
from external_api.openapi import informaperu, nopasanada, partners, registry, staff, twins, webhooks
from external_api.openapi.forms import published
from external_api.openapi.introduction import DESCRIPTION, TAGS, TITLE, security_schemes
from external_api.openapi.operations import Operation


def operations() -> dict[tuple[type[Any], str], Operation]:
    """Descriptions by view class and method; the method is empty for a view with one."""
    descriptions: tuple[Mapping[type[Any], Operation | Mapping[str, Operation]], ...] = (
        nopasanada.OPERATIONS,
        informaperu.operations(),
        staff.OPERATIONS,
        registry.OPERATIONS,
        partners.OPERATIONS,
        webhooks.OPERATIONS,
        twins.OPERATIONS,
    )
    return {
        (view, method): operation
        for one_contract in descriptions
        for view, described in one_contract.items()
        for method, operation in ({"": described} if isinstance(described, Operation) else described).items()
    }


class ContractSchema(AutoSchema):
    """Names our description of the view instead of guessing from serializers; the generator puts it there."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> dict[str, Any]:
        known = operations()
        one = known.get((type(self.view), ""))
        return {"operationId": (one or known[type(self.view), method.lower()]).id}


class ContractRoutes(EndpointEnumerator):
    """Endpoints of the contracts, without the views that answer 404."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        view = getattr(callback, "cls", None)
        return isinstance(view, type) and issubclass(view, ContractView) and not issubclass(view, UnknownPath)

    def get_path_from_regex(self, path_regex: str) -> str:
        """Every path works with and without a trailing slash; it is documented without."""
        return str(super().get_path_from_regex(path_regex)).rstrip("/")


class ContractGenerator(SchemaGenerator):
    endpoint_inspector_cls = ContractRoutes

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        """The published form."""
        return published(self.get_strict_schema(request=request, public=public))

    def get_strict_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = super().get_schema(request=request, public=public)
        return {
            "openapi": found["openapi"],
            "info": {"title": TITLE, "version": settings.AVAL_VERSION, "description": DESCRIPTION},
            "externalDocs": {"url": f"{settings.PUBLIC_URL}/referencia/guia/", "description": "Guía para empresas"},
            "servers": [{"url": settings.PUBLIC_URL, "description": "Esta instalación"}],
            "tags": TAGS,
            "paths": {path: _described(methods) for path, methods in found["paths"].items()},
            "components": {"securitySchemes": security_schemes()},
        }


def _described(methods: dict[str, Any]) -> dict[str, Any]:
    """A path's operations, which drf-spectacular has listed by their ids."""
    by_id = {each.id: each.document(rate_limited=view.rate_limited) for (view, _), each in operations().items()}
    return {method: by_id[listed["operationId"]] for method, listed in methods.items()}


@cache
def document() -> dict[str, Any]:
    """The published document, made once a process: neither the routes nor the settings change while it runs."""
    return ContractGenerator().get_schema(public=True)


@cache
def strict_document() -> dict[str, Any]:
    """The document that tests hold answers against."""
    return ContractGenerator().get_strict_schema(public=True)
