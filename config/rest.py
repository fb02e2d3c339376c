"""Settings of Django REST framework and drf-spectacular, none of which an operator changes."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "external_api.openapi.generator.ContractSchema",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "DEFAULT_GENERATOR_CLASS": "external_api.openapi.generator.ContractGenerator",
    "SCHEMA_PATH_PREFIX": "/",
    "SORT_OPERATIONS": False,  # in the order of the URLs, which is the order of use
    "POSTPROCESSING_HOOKS": [],
}
