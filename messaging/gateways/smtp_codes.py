"""SMTP replies: classifies a refusal by its cause, the recipient or us (sources: RFC 3463 and IANA's registry of
enhanced status codes, RFC 5321, RFC 6531, RFC 7504).

| a reply to RCPT, to DATA or to the message                                       | is about                  |
|----------------------------------------------------------------------------------|---------------------------|
| 5xx with X.1.1 to X.1.4, X.1.6, X.1.10, X.2.1, X.2.2, X.2.4, X.7.17, X.7.18; 556 | the recipient             |
| 5xx to RCPT without a specific code (none, X.0.0, X.1.0, X.2.0, X.5.0) and with  | the recipient             |
| an unambiguous text: "user unknown"                                              |                           |
| 4xx to RCPT, except 421, X.3.z, X.1.7, X.1.8                                     | the recipient, temporary  |
| 4xx later, or a 5xx whose enhanced code begins with 4, with a code as above      | the recipient, temporary  |
| X.6.7 to X.6.10 (SMTPUTF8); X.3.4, X.2.3, and 552 with a text about the size     | this server's limits      |
| anything else                                                                    | us, the server, or        |
|                                                                                  | unclear                   |

A text about the sender (a refused sender, relaying, a sending quota, a block list) moves each of the first four rows to
the last: Postfix delays refusals of a client or a sender until RCPT, and some servers give them a mailbox's code.
Before RCPT everything except the size is about us: 5.1.1 to MAIL is about our sender.
"""

import re
from enum import Enum


class Fault(Enum):
    """Cause of a refusal."""

    RECIPIENT = "recipient"  # permanent: every server refuses this recipient
    RECIPIENT_FOR_NOW = "recipient for now"
    UNSUPPORTED = "unsupported"  # this server can never take it
    OURS = "ours"  # us, the server, or unclear: another server may take it


_RECIPIENT = {"1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1", "2.2", "2.4", "7.17", "7.18"}
_HARD_BOUNCE = {"1.1", "1.2", "1.10", "2.1"}
_SENDER = {"1.7", "1.8"}
_SIZE_CODES = {"3.4", "2.3"}
_UNSUPPORTED = {"6.7", "6.8", "6.9", "6.10"} | _SIZE_CODES
_UNSPECIFIC = {"", "0.0", "1.0", "2.0", "5.0"}
_NO_MAIL_DOMAIN = 556
_CLOSING = 421
_TOO_BIG = 552

SEARCHED_LENGTH = 2000
"""Characters of a reply that are searched."""

_ADDRESS = re.compile(r"<[^<>\s]{0,320}>|[^\s<>]{1,254}@[^\s<>]{1,254}")
_AT_THE_START = re.compile(r"^[\s#(\[:]*([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)", re.MULTILINE)
_MARKED = re.compile(r"#([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")  # qmail: (#5.1.1)

_ABOUT_SENDER = re.compile(
    r"""
    \b sender \b .{0,40} \b (?: reject | refus | denied | not | unknown | invalid | block | verif | own | limit | quota)
    | \b (?: reject | refus | invalid | unknown | unverified | block ) \w* \s+ (?: envelope \s+)? (?:sender | from) \b
    | \b sender \s+ verif | \b mail \s* from \b | \b from \s+ address \b
    | \b relay (?:ing)? \b .{0,20} \b (?: denied | not | prohibit | restrict | disabled | forbidden | disallow)
    | \b (?: not | no | unable | cannot | can't | won't | denied | prohibited ) \b .{0,20} \b relay (?:ing)? \b
      (?! \s+ (?: recipient | domain ) )
    | \b rcpthosts \b
    | \b (?: sending | submission | daily | hourly | outgoing | outbound ) \s* (?:\w+ \s+)? (?: quota | limit | rate )
    | \b (?: quota | limit ) \b .{0,20} \b (?: sending | submission | sender )
    | (?: black | block | deny ) \s* -? \s* list | \b (?: dns | rh )? [sx]?bl \b | \b rbl \b
    | (?: \b (?: per | por | cada ) | \d \s? (?: [a-z]{1,20} \s? )? / ) \s* (?: second | minute | hour | day | month
      | segundo | minuto | hora | d[ií]a | mes ) \b
    | \b message \s+ quota \b | \b for \s+ (?: sending | abuse ) \b | \b due \s+ to \s+ abuse \b
    | \b client \s+ host \b | \b helo \s+ command \b
    | \b (?: remitente | reenv[ií]o | autentic\w+ ) \b
    | \b (?: cuota | l[ií]mite ) \s+ (?: \w+ \s+ )? de \s+ env[ií]os? \b
    | \b your \s+ (?: account | domain | server | host | ip | plan ) \b
    | spamhaus | spamcop | barracuda | \b authenticat | \b log \s* in \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Texts about the sender, whatever their code."""

_MAY_BE_ABOUT_US = re.compile(
    r"""
    \b (?: message | sending | rate | recipient ) \s+ (?: rate \s+)? limit | \b too \s+ many \b | throttl
    | \b your \s+ (?: mailbox | address ) \b
    | \b spam | \b reputation | \b polic(?: y | ies | ía | ia ) | \b listed \b
    | \b authoriz | \b not \s+ (?: permitted | allowed | verified ) | \b password
    | \b credit | \b pay(?: ment )? \b | \b pago \b | \b billing | \b invoice | \b suspend
    | \b smtp \s+ account | \b (?: outgoing | outbound | sending | sent ) \b
    | \b account \b .{0,30} \b (?: disabled | deactivated | locked )
    | \b (?: helo | ehlo | client | reverse | ptr ) \b
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Texts that may be about us: with one of them, no other text is unambiguous."""

_RECIPIENT_NOUN = r"""(?: user | recipient | mailbox | account | alias | addressee | local \s+ part
    | usuario | buz[oó]n | destinatario | cuenta )"""
_SAYS_RECIPIENT = re.compile(
    rf"""
    \b {_RECIPIENT_NOUN} \b .{{0,80}}? \b (?:
        unknown | not \s+ found | (?: does \s+ not | doesn't | did \s+ not | not ) \s+ (?: exist | have \s+ an? \b )
        | non-?existent | full | disabled | deactivated | inactive | unavailable | is \s+ invalid
        | (?: over | exceeds? | exceeded ) \s+ (?: its \s+ | the \s+ | storage \s+ )? quota
        | no \s+ longer | not \s+ (?: known | here | valid | local )
        | desconocid[oa] | no \s+ existe | inexistente | llen[oa] | inv[aá]lid[oa] | no \s+ encontrad[oa]
    )
    | \b (?: unknown | no \s+ such | invalid | non-?existent | not \s+ a \s+ (?: valid | known ) | bad ) \s+
      (?: local \s+ | destination \s+ | e?-?mail \s+ )? (?: {_RECIPIENT_NOUN} | person )
    | \b mailbox \s+ (?: quota | size | storage )? \s* (?: limit \s+ )? exceeded
    | \b no \s+ mailbox \s+ here | \b unroute?able \s+ address | \b undeliverable \s+ address
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Texts that, at RCPT, can only be about the recipient."""

_GREYLISTED = re.compile(r"gr[ae]y.?list", re.IGNORECASE)
_SIZE = re.compile(r"(?!.*\bmailbox\b).*(?:\bsize\b|\btoo (?:big|large|long)\b)", re.IGNORECASE | re.DOTALL)


def classify(code: int, text: str, *, stage: str) -> Fault:
    """Classify a reply of 4xx or 5xx. `stage`: the command it answers; `data` includes the message itself."""
    text = _ADDRESS.sub(" ", text[:SEARCHED_LENGTH])  # an address such as relay@ is no evidence
    temporary, detail = _enhanced(code, text)
    about_sender = bool(_ABOUT_SENDER.search(text))
    if stage not in ("rcpt", "data"):
        is_too_big = stage == "mail" and code >= 500 and _is_too_big(code, detail, text)
        return Fault.UNSUPPORTED if is_too_big else Fault.OURS
    if code < 500:
        at_rcpt = stage == "rcpt" and not _is_about_server(code, detail)
        about_recipient = at_rcpt or (detail in _RECIPIENT and code != _CLOSING)
        spared = about_recipient and (not about_sender or _GREYLISTED.search(text))
        return Fault.RECIPIENT_FOR_NOW if spared else Fault.OURS
    if not about_sender and _is_about_recipient(code, detail, text, stage=stage):
        return Fault.RECIPIENT_FOR_NOW if temporary else Fault.RECIPIENT
    return Fault.UNSUPPORTED if detail in _UNSUPPORTED or _is_too_big(code, detail, text) else Fault.OURS


def is_hard_bounce(code: int, text: str) -> bool:
    """Test whether a refusal of the recipient says for certain that the mailbox does not exist or takes no mail.

    By its enhanced code (X.1.1, X.1.2, X.1.10, X.2.1), or by 556, which means X.1.10 (RFC 7504, section 4).
    """
    temporary, detail = _enhanced(code, _ADDRESS.sub(" ", text[:SEARCHED_LENGTH]))
    return not temporary and (detail in _HARD_BOUNCE or (code == _NO_MAIL_DOMAIN and not detail))


def _is_about_server(code: int, detail: str) -> bool:
    return code == _CLOSING or detail.startswith("3.") or detail in _SENDER


def _is_about_recipient(code: int, detail: str, text: str, *, stage: str) -> bool:
    if detail in _RECIPIENT or code == _NO_MAIL_DOMAIN:
        return True
    if stage != "rcpt" or detail not in _UNSPECIFIC or _MAY_BE_ABOUT_US.search(text):
        return False
    return bool(_SAYS_RECIPIENT.search(text))


def _is_too_big(code: int, detail: str, text: str) -> bool:
    return detail in _SIZE_CODES or (not detail and code == _TOO_BIG and bool(_SIZE.match(text)))


def _enhanced(code: int, text: str) -> tuple[bool, str]:
    """(temporary, subject and detail such as `1.1`) of the enhanced status code; the latter is empty without a code."""
    found = _AT_THE_START.search(text) or _MARKED.search(text)
    if found is None:
        return code < 500, ""
    return found[1] == "4", f"{int(found[2])}.{int(found[3])}"
