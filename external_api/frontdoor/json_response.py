"""Answers of the contracts as HTTP responses."""

from django.http import HttpResponse
from rest_framework.utils.encoders import JSONEncoder

from external_api.frontdoor.contract import Answer

_JSON = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_response(answer: Answer) -> HttpResponse:
    """The answer as the contracts send it: JSON in UTF-8, without blanks."""
    body = _JSON.encode(answer.body).encode()
    return HttpResponse(body, status=answer.status, content_type=answer.content_type, headers=dict(answer.headers))
