"""Client of an Aval installation: its three contracts and its API for partners."""

from aval_client.client import VERSION as __version__
from aval_client.client import Aval
from aval_client.errors import (
    ApiError,
    AvalError,
    BadRequest,
    BrokenAnswer,
    Conflict,
    CooldownActive,
    CursorGone,
    Forbidden,
    IdempotencyConflict,
    MissingCredential,
    NoAnswer,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    WebhookVerificationError,
    WrongCode,
)
from aval_client.events import Events
from aval_client.retries import Retries
from aval_client.rows import Rows
from aval_client.verification import verify_webhook

__all__ = [
    "ApiError",
    "Aval",
    "AvalError",
    "BadRequest",
    "BrokenAnswer",
    "Conflict",
    "CooldownActive",
    "CursorGone",
    "Events",
    "Forbidden",
    "IdempotencyConflict",
    "MissingCredential",
    "NoAnswer",
    "NotFound",
    "RateLimited",
    "Retries",
    "Rows",
    "ServerError",
    "Unauthorized",
    "WebhookVerificationError",
    "WrongCode",
    "__version__",
    "verify_webhook",
]
