"""Delivery receipts over SMPP: a deliver_sm (or data_sm) that reports the final state of a message.

SMPP 3.4 leaves their text to the vendor. Nearly all use the format of its appendix B:

    id:0123456789 sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000 text:...

How a receipt is recognised and read:

| in the PDU                                          | meaning                                                   |
|-----------------------------------------------------|-----------------------------------------------------------|
| esm_class of a receipt, or a receipted_message_id   | a receipt                                                 |
| another esm_class, and appendix B's text alone      | a receipt, if it names the number of the id's own message |
| anything else                                       | a message from a telephone; it is ignored                 |
| receipted_message_id, else `id:` to the next blank  | the message's id                                          |
| message_state where it is final, else `stat:`       | its state, in any of its spellings                        |
| esm_class of an intermediate notification           | no final state, except that it was delivered              |
| short_message or message_payload, also in UTF-16    | the text, without the message quoted after `text:`        |

Some SMSCs give the id in hexadecimal when they take a message and in decimal in the receipt, or the other way round, or
with leading zeros. So an id that is not found as received is searched for in its other spellings, with the same SMSC
and the same telephone. Some SMSCs give no id when they take a message: its receipt is found by number and time. Every
SMSC reuses its ids at some point. `messaging.delivery.receipts` decides which message a receipt belongs to.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from smpplib import smpp
from smpplib.command import get_optional_code

from clients.identity.phones import national
from messaging import sql
from messaging.delivery import receipts
from messaging.gateways.smpp_codes import STATE_NUMBERS, STATES, final_state
from messaging.smpp.connection import Frame
from messaging.smpp.pdus import DELIVER_SM, printable

log = logging.getLogger(__name__)

_KIND = 0x3C
"""The bits of esm_class with the type of a message from the SMSC (SMPP 3.4, section 5.2.12)."""
_RECEIPT, _INTERMEDIATE = 0x04, 0x20
"""Types: a delivery receipt, an intermediate notification. Some SMSCs set both bits on a receipt."""
_HAS_HEADER = 0x40
"""The bit of esm_class for a user data header before the text."""
_RECEIPTED_ID = get_optional_code("receipted_message_id")
_MESSAGE_STATE = get_optional_code("message_state")
_PAYLOAD = get_optional_code("message_payload")
_IS = r"\s?[:=]"
"""Separator between the name of a field and its value: most vendors write a colon, a few an equals sign."""
_STAT = rf"stat(?:us|e)?{_IS}"
_FIELD = rf"(?:(?:sub|dlvrd|err|text|(?:submit|done) date){_IS}|{_STAT})"
_ID = re.compile(rf"\bid{_IS}\s*(?!{_FIELD})(\S+?)(?=\s|$|[;,|]{_FIELD})", re.IGNORECASE)
_STATE = re.compile(rf"\b{_STAT}\s*(?!{_FIELD})((?:NOT|NON|UN)[ -][A-Z]+|[A-Z_]+|[0-9]{{1,3}})", re.IGNORECASE)
_ERROR = re.compile(rf"\berr{_IS}\s*([0-9A-Z]{{1,10}})", re.IGNORECASE)
_QUOTED = re.compile(rf"\btext{_IS}.*", re.IGNORECASE | re.DOTALL)
_START = re.compile(rf"\s*(?:id{_IS}|{_FIELD})", re.IGNORECASE)
_OTHER_FIELD = re.compile(rf"\b(?:sub|dlvrd|submit date|done date|err){_IS}\s*\S", re.IGNORECASE)
_MAX_HEADER = 0x1F
"""Octets of the longest user data header. A text that begins with a letter has none, whatever esm_class says."""
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,20}[0-9]")
_MIN_DIGITS = 7
"""Digits of the shortest telephone number; fewer are a short code, or zeros."""
_WIDTHS = (0, 8, 10)
"""Widths an id is padded to with zeros: none, 8 (a 32-bit number in hexadecimal), 10 (the digits of appendix B)."""


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """The content of a receipt. Its text is never kept: it may quote the message, and so its code."""

    provider_id: str  # the SMSC's id for the message
    state: str  # as written; a state unknown to `final_state` is not final
    error: str  # the network's own code
    numbers: tuple[str, str] = ("", "")  # source and destination: one is the client's, the other ours
    is_plain: bool = False  # not marked as a receipt: a telephone may have written it

    @property
    def report_state(self) -> str:
        """DELIVERED, UNDELIVERED, or empty where the state is not final."""
        state = final_state(self.state)
        return state and ("DELIVERED" if state == "DELIVERED" else "UNDELIVERED")

    @property
    def detail(self) -> str:
        reason = STATES.get(final_state(self.state), "")
        return f"{reason} (err {self.error})" if reason and self.error.strip("0") else reason

    def recipients(self, sender: str) -> frozenset[str]:
        """The numbers in the receipt, without `sender`, our own; empty where it has none."""
        found = {national(each) for each in self.numbers if _NUMBER.fullmatch(each)}
        return frozenset(each for each in found - {national(sender)} if len(each) >= _MIN_DIGITS)


def read(frame: Frame) -> DeliveryReceipt | None:
    """Parse a receipt. None: it is a message from a telephone."""
    pdu = smpp.make_pdu("deliver_sm" if frame.command == DELIVER_SM else "data_sm", sequence=frame.sequence, status=0)
    parameters: dict[int, bytes] = {}
    # smpplib's own parser cuts the last octet off an id without a NUL, and stops at the first unexpected parameter
    pdu.parse_optional_params = lambda octets: parameters.update(_parameters(octets))
    try:
        pdu.parse(frame.raw)
    except Exception:  # noqa: BLE001  smpplib raises many types of error; what it read before that is kept
        log.warning("a message from the SMSC could not be read to its end", extra={"command": frame.command})
    named = printable(parameters.get(_RECEIPTED_ID, b"").partition(b"\0")[0])
    esm_class = int(getattr(pdu, "esm_class", 0) or 0)
    octets = _octets(pdu, "short_message") or parameters.get(_PAYLOAD, b"")
    text = _QUOTED.sub("", _decoded(octets, has_header=bool(esm_class & _HAS_HEADER)))
    is_plain = not named and esm_class & _KIND not in (_RECEIPT, _INTERMEDIATE, _RECEIPT | _INTERMEDIATE)
    if is_plain and not _is_appendix_b(text):
        return None
    state = STATE_NUMBERS.get(int.from_bytes(parameters.get(_MESSAGE_STATE, b"")), "") or _search(_STATE, text)
    if esm_class & _KIND == _INTERMEDIATE and final_state(state) != "DELIVERED":
        state = ""  # the SMSC is still trying
    numbers = (_number(pdu, "source_addr"), _number(pdu, "destination_addr"))
    return DeliveryReceipt(
        named or printable(_search(_ID, text).encode()), state, _search(_ERROR, text), numbers, is_plain
    )


def save(gateway: str, receipt: DeliveryReceipt, *, at: datetime, sender: str = "") -> bool:
    """Store a receipt and apply it to its message. False: no message changed. Raises django.db.Error.

    `sender`: our own number, which the SMSC gives beside the client's.
    """
    recipients = receipt.recipients(sender)
    if not receipt.report_state or not (receipt.provider_id or recipients) or (receipt.is_plain and not recipients):
        log.info("the SMSC reported nothing final", extra={"provider": gateway, "state": receipt.state[:10]})
        return False
    return receipts.receive(
        receipts.Report(
            gateway,
            receipt.provider_id,
            receipt.report_state,
            receipt.detail,
            recipients=recipients,
            reuses_ids=True,
            spellings=spellings(receipt.provider_id) - {receipt.provider_id},
            omits_ids=not receipt.is_plain,
        ),
        at=at,
    )


def catch_up(gateway: str, message: UUID, name: str, *, at: datetime) -> None:
    """Apply receipts that arrived before the answer to the submit, under another spelling of the id `name`.

    Where the SMSC gave no id (`name` is empty, or our own id), receipts with any id for the recipient's number are
    applied. A receipt counts only if it arrived after the hand-over and no other message has exactly its id.
    """
    unnamed = name in ("", str(message))
    others = spellings(name) - {name}
    if not unnamed and not others:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            sql.EARLY_SMPP_RECEIPTS[not unnamed], {"others": list(others), "gateway": gateway, "message": message}
        )
        early = cursor.fetchall()
    for row, keys, theirs, state, detail, recipient in early:
        if receipts.is_about(recipient, keys):
            receipts.apply(
                row, message, receipts.Report(gateway, theirs, state, detail, spellings=frozenset({name})), at=at
            )


def spellings(name: str) -> frozenset[str]:
    """The forms in which an SMSC may write an id: decimal and hexadecimal, with and without leading zeros or 0x, in
    upper and lower case, with and without quotes or a trailing comma."""
    found = {name}
    bare = name.strip("\"',;")
    name = bare[2:] if re.fullmatch(r"0[xX][0-9A-Fa-f]{1,16}", bare) else bare
    found |= {bare, name} - {""}
    if re.fullmatch(r"[0-9]{1,20}", name):
        found |= _forms(int(name), "x") | _forms(int(name), "d")
    if re.fullmatch(r"[0-9A-Fa-f]{1,16}", name):
        found |= _forms(int(name, 16), "x") | _forms(int(name, 16), "d")
    return frozenset(found | {each.upper() for each in found} | {each.lower() for each in found})


def _forms(number: int, base: str) -> set[str]:
    found = {format(number, base).zfill(width) for width in _WIDTHS}
    return found | {f"0x{number:x}", f"0x{number:X}"} if base == "x" else found


def _parameters(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """The optional parameters (TLV): tag and value of each. Stops at the first one that is cut off."""
    while len(octets) >= 4:
        tag, length = int.from_bytes(octets[:2]), int.from_bytes(octets[2:4])
        if len(octets) < 4 + length:
            return
        yield tag, octets[4 : 4 + length]
        octets = octets[4 + length :]


def _decoded(octets: bytes, *, has_header: bool) -> str:
    """The text of a receipt. Its fields are ASCII, so a zero in the first character means UTF-16, whatever data_coding
    says."""
    if has_header and octets and octets[0] <= _MAX_HEADER:
        octets = octets[1 + octets[0] :]
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    if octets[:1] == b"\0" or octets.startswith(b"\xfe\xff"):
        return octets.decode("utf-16-be", errors="replace").lstrip("\ufeff")
    if octets[1:2] == b"\0" or octets.startswith(b"\xff\xfe"):
        return octets.decode("utf-16-le", errors="replace").lstrip("\ufeff")
    return octets.decode("latin-1")


def _is_appendix_b(text: str) -> bool:
    """Test for the format of appendix B: it begins with a field, and has an id, a final state and one field more."""
    return bool(
        _START.match(text) and _search(_ID, text) and _OTHER_FIELD.search(text) and final_state(_search(_STATE, text))
    )


def _octets(pdu: object, field: str) -> bytes:
    value = getattr(pdu, field, None)
    return value if isinstance(value, bytes) else b""


def _search(form: re.Pattern[str], text: str) -> str:
    match = form.search(text)
    return match[1] if match else ""


def _number(pdu: object, field: str) -> str:
    """An address in the receipt: in our spelling where it is a telephone number, else as received."""
    address = printable(_octets(pdu, field))
    return national(address) if _NUMBER.fullmatch(address) else address
