"""Parameters of a query."""

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest

from external_api.frontdoor.errors import BadRequest, InvalidFields


def query_of(request: HttpRequest) -> dict[str, str]:
    """The query's parameters. Raises BadRequest for too many of them, InvalidFields for a repeated one."""
    try:
        lists = dict(request.GET.lists())
    except SuspiciousOperation:
        raise BadRequest("La consulta tiene demasiados parámetros.") from None
    repeated = {name[:50]: ["No debe repetirse."] for name, values in lists.items() if len(values) > 1}
    if repeated:
        raise InvalidFields(repeated)
    return {name: str(values[0]) for name, values in lists.items()}
