"""Error codes of mail services, with the outcome of each (sources: each service's API reference). Only certain cases
are here. For all others the status that django-anymail reads counts, then the HTTP status (`messaging.gateways.http`: a
4xx is unclear, next provider).

| service    | permanent, about the recipient                        | certain, and not about the recipient           |
|------------|-------------------------------------------------------|------------------------------------------------|
| Postmark   | ErrorCode 406; 300 about `To` (anymail)               | any other ErrorCode                            |
| Mandrill   | `invalid`; reject_reason hard-bounce, spam, unsub,    | any other reject_reason; a named error, also   |
|            | custom, invalid                                       | with 500 (Invalid_Key, PaymentRequired)        |
| Mailjet    | errors that are all related to `To`                   | other errors                                   |
| MailerSend | a `to` that is no valid address; ALL_SUPPRESSED    |                                                |
| Mailgun    | `to` is not a valid address                           | 200 of no endpoint, "Mailgun Magnificent API"  |
| Brevo      | invalid_parameter, "not valid in to"                  |                                                |
| Resend     | validation_error about the `to` field                 | a daily or monthly quota, though it says 429   |
| SparkPost  | a suppressed recipient; all rejected (anymail)        |                                                |

Mandrill's soft-bounce is temporary and about the recipient.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from messaging.gateways.codes import DEFERRED, PERMANENT, TEMPORARY, Outcome
from messaging.gateways.http import Reply, number

_INACTIVE_RECIPIENT, _INVALID_REQUEST = 406, 300
_REJECTED = frozenset({"rejected", "invalid"})
_OF_THE_RECIPIENT = frozenset({"hard-bounce", "spam", "unsub", "custom", "invalid"})
_SAYS_INVALID = re.compile(r"must be a valid|not (?:a )?valid|is invalid|invalid", re.IGNORECASE)


def classify(service: str, reply: Reply) -> Outcome | None:
    """The outcome by the service's own code; None: not certain."""
    classifier = _CLASSIFIERS.get(service)
    return classifier(reply) if classifier is not None else None


def is_hard_bounce(service: str, reply: Reply) -> bool:
    """Whether the service does not send because the mailbox bounced for good before. Only Mandrill says so."""
    answer = reply.parsed
    return (
        service == "mandrill" and isinstance(answer, list) and _field(_first(answer), "reject_reason") == "hard-bounce"
    )


def _postmark(reply: Reply) -> Outcome | None:
    code = number(_field(reply.parsed, "ErrorCode"))
    if not code or code == _INVALID_REQUEST or reply.status >= 500 or reply.status == 429:
        return None
    return PERMANENT if code == _INACTIVE_RECIPIENT else TEMPORARY


def _mandrill(reply: Reply) -> Outcome | None:
    answer = reply.parsed
    if isinstance(answer, list):
        status, reason = (_text(_field(_first(answer), name)) for name in ("status", "reject_reason"))
        if status not in _REJECTED:
            return None
        if reason == "soft-bounce":
            return DEFERRED
        return PERMANENT if status == "invalid" or reason in ("", *_OF_THE_RECIPIENT) else TEMPORARY
    is_certain = _field(answer, "status") == "error" and _field(answer, "name") not in ("GeneralError", "", None)
    return TEMPORARY if is_certain and not reply.is_taken else None


def _mailjet(reply: Reply) -> Outcome | None:
    message = _first(_field(reply.parsed, "Messages"))
    errors = _field(message, "Errors")
    if not isinstance(errors, list) or not errors:
        return TEMPORARY if _field(message, "Status") == "error" else None
    related = [str(each) for error in errors for each in _listed(_field(error, "ErrorRelatedTo"))]
    return PERMANENT if all(re.match(r"To\b", each) for each in related) else TEMPORARY


def _mailersend(reply: Reply) -> Outcome | None:
    warning = _field(_first(_field(reply.parsed, "warnings")), "type")
    if reply.is_taken and warning == "ALL_SUPPRESSED":
        return PERMANENT
    errors = _field(reply.parsed, "errors")
    if reply.is_taken or not isinstance(errors, dict) or not errors:
        return None
    about_to = all(re.match(r"to\b", str(name)) for name in errors)
    return PERMANENT if about_to and _SAYS_INVALID.search(str(errors)) else None


def _mailgun(reply: Reply) -> Outcome | None:
    if reply.is_taken:
        return TEMPORARY if "Mailgun Magnificent API" in reply.body else None
    return _by_text(reply, r"['\"]?\bto\b['\"]? parameter is not a valid address")


def _brevo(reply: Reply) -> Outcome | None:
    return _by_text(reply, r"not valid in to\b")


def _resend(reply: Reply) -> Outcome | None:
    if str(_field(reply.parsed, "name")) in ("daily_quota_exceeded", "monthly_quota_exceeded"):
        return TEMPORARY
    return _by_text(reply, r"invalid [`'\"]?to[`'\"]? field")


def _sparkpost(reply: Reply) -> Outcome | None:
    return _by_text(reply, r"recipient address (?:was |is )?suppressed")


_CLASSIFIERS: Mapping[str, Callable[[Reply], Outcome | None]] = {
    "postmark": _postmark,
    "mandrill": _mandrill,
    "mailjet": _mailjet,
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "brevo": _brevo,
    "resend": _resend,
    "sparkpost": _sparkpost,
}


def _by_text(reply: Reply, pattern: str) -> Outcome | None:
    """PERMANENT where the text of a 400 or 422 matches a pattern about the recipient."""
    return PERMANENT if reply.status in (400, 422) and re.search(pattern, reply.error_text, re.IGNORECASE) else None


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    """A field's value as text; empty where there is none."""
    return "" if value is None else str(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [value or ""]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None
