"""Error reports to Sentry, or to a server that speaks its protocol. Off unless SENTRY_DSN is set.

The package is an extra (`requirements-sentry.txt`). Its own integrations send what a request held: URLs, bodies,
cookies, the values of local variables, log lines of before. None of them is on, and of an event only what is listed
here leaves: constants of the code, ids, and where it happened. Texts of exceptions stay in the log, which masks them.
"""

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured

OURS = (
    *("aval", "config", "clients", "staff", "messaging", "tokens", "webhooks", "external_api", "subscription"),
    *("support", "metrics"),
)
"""Beginnings of our loggers' names. Their lines are constants; those of libraries may name a path or a person."""
PLAIN = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "server_name", "sdk")
TAGS = ("request_id", "route", "method", "action", "message_id", "provider", "queue", "program", "step")
"""Fields of a log line that an event bears as tags: ids and names of ours."""
OF_A_FRAME = ("filename", "function", "module", "lineno", "in_app", "pre_context", "context_line", "post_context")
"""Parts of a frame: the source and its place. Not among them are its variables."""


def start(dsn: str, *, release: str, **options: Any) -> None:
    """Report lines of level ERROR and uncaught exceptions from now on; without a DSN nothing happens.

    Raises ImproperlyConfigured.
    """
    if not dsn:
        return
    try:
        import sentry_sdk
        from sentry_sdk.integrations.atexit import AtexitIntegration
        from sentry_sdk.integrations.excepthook import ExcepthookIntegration
        from sentry_sdk.integrations.logging import LoggingIntegration
        from sentry_sdk.utils import BadDsn
    except ModuleNotFoundError:
        raise ImproperlyConfigured("SENTRY_DSN needs a package: pip install -r requirements-sentry.txt.") from None
    try:
        sentry_sdk.init(
            dsn=dsn,
            release=f"aval@{release}",
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                LoggingIntegration(level=None, event_level=logging.ERROR),
                ExcepthookIntegration(),
                AtexitIntegration(callback=lambda pending, timeout: None),
            ],
            include_local_variables=False,
            max_breadcrumbs=0,
            max_request_body_size="never",
            before_send=reduced,
            **options,
        )
    except BadDsn:
        raise ImproperlyConfigured("SENTRY_DSN must look like https://KEY@sentry.example.com/1.") from None


def reduced(event: Any, hint: dict[str, Any]) -> Any:
    """The part of an event that may leave."""
    kept = {name: event[name] for name in PLAIN if name in event}
    record = hint.get("log_record")
    if record is not None:
        kept["logentry"] = {"message": _message(record)}
    if "exception" in event:
        kept["exception"] = {"values": [_exception(each) for each in event["exception"]["values"]]}
    return {**kept, "tags": _tags(record)}


def _message(record: logging.LogRecord) -> str:
    """The line without what was put into it; of a library only whose it is."""
    is_ours = record.name.partition(".")[0] in OURS
    return str(record.msg) if is_ours else f"a line of {record.name}"


def _exception(value: dict[str, Any]) -> dict[str, Any]:
    """Type and frames of an exception; its text may quote a row or a request."""
    frames = (value.get("stacktrace") or {}).get("frames", [])
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {
            "frames": [{name: frame[name] for name in OF_A_FRAME if frame.get(name) is not None} for frame in frames]
        },
    }


def _tags(record: logging.LogRecord | None) -> dict[str, str]:
    from clients import request_id

    found = {name: str(getattr(record, name)) for name in TAGS if hasattr(record, name)}
    current = request_id.current()
    return {**found, "request_id": current.id} if current else found
