"""HTTP headers of the front door's errors, the same in every contract."""

from django.conf import settings
from django.urls import reverse

from clients.errors import Refused
from clients.twins import TwinIsFull
from external_api.frontdoor import errors


def error_headers(error: Refused) -> dict[str, str]:
    """Allow (RFC 9110, 10.2.1), WWW-Authenticate (RFC 6750, 3) with a Link to the guide (RFC 8288), Accept-Encoding
    (RFC 9110, 15.5.16) or Retry-After (RFC 9110, 10.2.3); else none."""
    match error:
        case errors.WrongMethod():
            return {"Allow": ", ".join(error.allowed)}
        case errors.Unauthorized():
            return {"WWW-Authenticate": "Bearer", "Link": f'<{settings.PUBLIC_URL}{reverse("guide")}>; rel="help"'}
        case errors.CompressedBody():
            return {"Accept-Encoding": "identity"}
        case errors.RateLimited() | errors.Unavailable() | TwinIsFull():
            return {"Retry-After": str(error.retry_after)}
    return {}
