"""Codes for tests."""

from typing import Any

from tokens import services
from tokens.models import VerificationToken


def request_code(*args: Any, **kwargs: Any) -> VerificationToken:
    """Request a code as a contract does (`tokens.services.request`), and return its row. Raises what that raises."""
    return VerificationToken.objects.get(pk=services.request(*args, **kwargs).token_id)
