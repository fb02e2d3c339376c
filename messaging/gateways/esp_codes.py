"""What a mail service's own error code means for a message of ours (sources: each service's API reference). Only what
is certain stands here; what does not is judged by what django-anymail made of it, then by its HTTP status
(`messaging.gateways.http`: a 4xx is unclear, next provider).

| service    | about the recipient, for good                         | certain, and not about the recipient           |
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

Mandrill's soft-bounce is about the recipient for now.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from messaging.gateways.codes import DEFERRED, PERMANENT, TEMPORARY, Verdict
from messaging.gateways.http import Reply, number

_INACTIVE_RECIPIENT, _INVALID_REQUEST = 406, 300
_REJECTED = frozenset({"rejected", "invalid"})
_OF_THE_RECIPIENT = frozenset({"hard-bounce", "spam", "unsub", "custom", "invalid"})
_SAYS_INVALID = re.compile(r"must be a valid|not (?:a )?valid|is invalid|invalid", re.IGNORECASE)


def verdict(service: str, reply: Reply) -> Verdict | None:
    """Meaning of the service's own code; None if nothing is certain."""
    judge = _JUDGES.get(service)
    return judge(reply) if judge is not None else None


def _postmark(reply: Reply) -> Verdict | None:
    code = number(_field(reply.parsed, "ErrorCode"))
    if not code or code == _INVALID_REQUEST or reply.status >= 500 or reply.status == 429:
        return None
    return PERMANENT if code == _INACTIVE_RECIPIENT else TEMPORARY


def _mandrill(reply: Reply) -> Verdict | None:
    said = reply.parsed
    if isinstance(said, list):
        status, reason = (_text(_field(_first(said), name)) for name in ("status", "reject_reason"))
        if status not in _REJECTED:
            return None
        if reason == "soft-bounce":
            return DEFERRED
        return PERMANENT if status == "invalid" or reason in ("", *_OF_THE_RECIPIENT) else TEMPORARY
    is_certain = _field(said, "status") == "error" and _field(said, "name") not in ("GeneralError", "", None)
    return TEMPORARY if is_certain and not reply.is_taken else None


def _mailjet(reply: Reply) -> Verdict | None:
    message = _first(_field(reply.parsed, "Messages"))
    errors = _field(message, "Errors")
    if not isinstance(errors, list) or not errors:
        return TEMPORARY if _field(message, "Status") == "error" else None
    related = [str(each) for error in errors for each in _listed(_field(error, "ErrorRelatedTo"))]
    return PERMANENT if all(re.match(r"To\b", each) for each in related) else TEMPORARY


def _mailersend(reply: Reply) -> Verdict | None:
    warning = _field(_first(_field(reply.parsed, "warnings")), "type")
    if reply.is_taken and warning == "ALL_SUPPRESSED":
        return PERMANENT
    errors = _field(reply.parsed, "errors")
    if reply.is_taken or not isinstance(errors, dict) or not errors:
        return None
    about_to = all(re.match(r"to\b", str(name)) for name in errors)
    return PERMANENT if about_to and _SAYS_INVALID.search(str(errors)) else None


def _mailgun(reply: Reply) -> Verdict | None:
    if reply.is_taken:
        return TEMPORARY if "Mailgun Magnificent API" in reply.body else None
    return _by_words(reply, r"['\"]?\bto\b['\"]? parameter is not a valid address")


def _brevo(reply: Reply) -> Verdict | None:
    return _by_words(reply, r"not valid in to\b")


def _resend(reply: Reply) -> Verdict | None:
    if str(_field(reply.parsed, "name")) in ("daily_quota_exceeded", "monthly_quota_exceeded"):
        return TEMPORARY
    return _by_words(reply, r"invalid [`'\"]?to[`'\"]? field")


def _sparkpost(reply: Reply) -> Verdict | None:
    return _by_words(reply, r"recipient address (?:was |is )?suppressed")


_JUDGES: Mapping[str, Callable[[Reply], Verdict | None]] = {
    "postmark": _postmark,
    "mandrill": _mandrill,
    "mailjet": _mailjet,
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "brevo": _brevo,
    "resend": _resend,
    "sparkpost": _sparkpost,
}


def _by_words(reply: Reply, pattern: str) -> Verdict | None:
    """PERMANENT if a 400 or 422 says so about the recipient."""
    return PERMANENT if reply.status in (400, 422) and re.search(pattern, reply.words, re.IGNORECASE) else None


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    """Text of a value of the service; empty if it has none."""
    return "" if value is None else str(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [value or ""]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None
