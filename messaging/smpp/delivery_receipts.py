"""Delivery receipts: a deliver_sm (or data_sm) that says what became of a message.

SMPP 3.4 leaves their text to the vendor; nearly all write that of its appendix B:

    id:0123456789 sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000 text:...

What is a receipt, and what it says:

| in the PDU                                          | what it is                                                |
|-----------------------------------------------------|-----------------------------------------------------------|
| esm_class of a receipt, or a receipted_message_id   | a receipt                                                 |
| another esm_class, and appendix B's text alone      | a receipt, if it names the number of the id's own message |
| anything else                                       | a telephone's message; nobody reads it                    |
| receipted_message_id, else `id:` to the next blank  | the message's id                                          |
| message_state where it is final, else `stat:`       | its state, however it is spelled                          |
| esm_class of a word on the way                      | nothing final, but that it arrived                        |
| short_message or message_payload, also in UTF-16    | the text, without what it quotes after `text:`            |

Some SMSCs name the message in hexadecimal when they take it and in decimal in the receipt, or the other way round, or
with zeros in front. So an id that is not found as it came is looked for in its other spellings: with the same SMSC, and
to the same telephone. Some give no id when they take a message: its receipt is found by number and time. And all of
them give their ids again some day. `messaging.delivery.receipts` says which message is meant.
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
from messaging.delivery import receipts
from messaging.delivery.receipts import EARLY, key_of
from messaging.gateways.smpp_codes import STATE_NUMBERS, STATES, final_state
from messaging.smpp.connection import Frame
from messaging.smpp.pdus import DELIVER_SM, printable

log = logging.getLogger(__name__)

_KIND = 0x3C
"""The bits of esm_class that say what a message from the SMSC is (SMPP 3.4, section 5.2.12)."""
_RECEIPT, _ON_THE_WAY = 0x04, 0x20
"""Bits of the kind: a receipt; a word on the way. Some SMSCs set both on a receipt."""
_HAS_HEADER = 0x40
"""The bit of esm_class for a user data header before the text."""
_RECEIPTED_ID = get_optional_code("receipted_message_id")
_MESSAGE_STATE = get_optional_code("message_state")
_PAYLOAD = get_optional_code("message_payload")
_IS = r"\s?[:=]"
"""Between a field's name and its value, as most write it and as a few do."""
_STAT = rf"stat(?:us|e)?{_IS}"
_FIELD = rf"(?:(?:sub|dlvrd|err|text|(?:submit|done) date){_IS}|{_STAT})"
_ID = re.compile(rf"\bid{_IS}\s*(?!{_FIELD})(\S+?)(?=\s|$|[;,|]{_FIELD})", re.IGNORECASE)
_STATE = re.compile(rf"\b{_STAT}\s*(?!{_FIELD})((?:NOT|NON|UN)[ -][A-Z]+|[A-Z_]+|[0-9]{{1,3}})", re.IGNORECASE)
_ERROR = re.compile(rf"\berr{_IS}\s*([0-9A-Z]{{1,10}})", re.IGNORECASE)
_QUOTED = re.compile(rf"\btext{_IS}.*", re.IGNORECASE | re.DOTALL)
_WHOLE = re.compile(rf"\s*(?:id{_IS}|{_FIELD})", re.IGNORECASE)
_BESIDES = re.compile(rf"\b(?:sub|dlvrd|submit date|done date|err){_IS}\s*\S", re.IGNORECASE)
_LONGEST_HEADER = 0x1F
"""Octets of a user data header; a text that begins with a letter has none, whatever esm_class says."""
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,20}[0-9]")
_SHORTEST_NUMBER = 7
"""Digits; what has less is a short code, or zeros."""
_WIDTHS = (0, 8, 10)
"""Zeros in front: none, as many as a 32-bit number has hexadecimal digits, as appendix B has digits."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a receipt says. Never its text: that may quote the message, and so its code."""

    name: str  # the SMSC's for the message
    state: str  # as it was written; one that `final_state` does not know says nothing final
    error: str  # the network's own code
    numbers: tuple[str, str] = ("", "")  # from whom and to whom: one of them is the client's, the other ours
    is_plain: bool = False  # it came as a telephone's message does: a telephone may have written it

    @property
    def report_state(self) -> str:
        """DELIVERED, UNDELIVERED, or empty where nothing is decided."""
        state = final_state(self.state)
        return state and ("DELIVERED" if state == "DELIVERED" else "UNDELIVERED")

    @property
    def detail(self) -> str:
        reason = STATES.get(final_state(self.state), "")
        return f"{reason} (err {self.error})" if reason and self.error.strip("0") else reason

    def recipients(self, sender: str) -> frozenset[str]:
        """The numbers that it names, without our own; empty: it names none."""
        found = {national(each) for each in self.numbers if _NUMBER.fullmatch(each)}
        return frozenset(each for each in found - {national(sender)} if len(each) >= _SHORTEST_NUMBER)


def read(frame: Frame) -> Word | None:
    """What a receipt says; None: it is none, but a message from a telephone."""
    pdu = smpp.make_pdu("deliver_sm" if frame.command == DELIVER_SM else "data_sm", sequence=frame.sequence, status=0)
    parameters: dict[int, bytes] = {}
    # smpplib's own reading takes the last octet off an id without a NUL, and ends at the first it does not expect here
    pdu.parse_optional_params = lambda octets: parameters.update(_parameters(octets))
    try:
        pdu.parse(frame.raw)
    except Exception:  # noqa: BLE001  smpplib raises whatever it stumbles over; what it read before that stays
        log.warning("a message from the SMSC could not be read to its end", extra={"command": frame.command})
    named = printable(parameters.get(_RECEIPTED_ID, b"").partition(b"\0")[0])
    esm_class = int(getattr(pdu, "esm_class", 0) or 0)
    octets = _octets(pdu, "short_message") or parameters.get(_PAYLOAD, b"")
    text = _QUOTED.sub("", _decoded(octets, has_header=bool(esm_class & _HAS_HEADER)))
    is_plain = not named and esm_class & _KIND not in (_RECEIPT, _ON_THE_WAY, _RECEIPT | _ON_THE_WAY)
    if is_plain and not _is_whole(text):
        return None
    state = STATE_NUMBERS.get(int.from_bytes(parameters.get(_MESSAGE_STATE, b"")), "") or _found(_STATE, text)
    if esm_class & _KIND == _ON_THE_WAY and final_state(state) != "DELIVERED":
        state = ""  # the SMSC is still trying
    numbers = (_number(pdu, "source_addr"), _number(pdu, "destination_addr"))
    return Word(named or printable(_found(_ID, text).encode()), state, _found(_ERROR, text), numbers, is_plain)


def keep(gateway: str, word: Word, *, at: datetime, sender: str = "") -> bool:
    """Writes a receipt down and applies it; False: nothing moved. A database that fails raises its own error.

    `sender`: our own number, which the SMSC names beside the client's.
    """
    recipients = word.recipients(sender)
    if not word.report_state or not (word.name or recipients) or (word.is_plain and not recipients):
        log.info("the SMSC reported nothing final", extra={"provider": gateway, "state": word.state[:10]})
        return False
    return receipts.receive(
        receipts.Report(
            gateway,
            word.name,
            word.report_state,
            word.detail,
            recipients=recipients,
            reuses_ids=True,
            spellings=spellings(word.name) - {word.name},
            omits_ids=not word.is_plain,
        ),
        at=at,
    )


def catch_up(gateway: str, message: UUID, name: str, *, at: datetime) -> None:
    """A message was taken under this name: applies what came before under another spelling of it.

    Where the SMSC gave no name (`name` is empty, or our own id), what came under any name for its number. Only what
    came after the hand-over counts, and what is not about another message that bears just that name.
    """
    unnamed = name in ("", str(message))
    others = spellings(name) - {name}
    if not unnamed and not others:
        return
    meant = "receipt.recipients <> '{}'" if unnamed else "receipt.provider_id = ANY(%(others)s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT receipt.id, receipt.recipients, receipt.provider_id, receipt.state, receipt.detail, message.recipient
            FROM messaging_providerreceipt AS receipt JOIN messaging_message AS message ON message.id = %(message)s
            WHERE receipt.provider = %(gateway)s AND {meant} AND {EARLY} AND NOT EXISTS (
                SELECT FROM messaging_message AS other
                WHERE other.provider_id = receipt.provider_id AND other.provider = receipt.provider
                  AND other.provider_id <> '' AND other.id <> message.id
                  AND (other.recipient = message.recipient OR receipt.recipients = '{{}}')
            )
            ORDER BY receipt.at, receipt.id
            """,  # noqa: S608  this function's constants
            {"others": list(others), "gateway": gateway, "message": message},
        )
        early = cursor.fetchall()
    for row, keys, theirs, state, detail, recipient in early:
        if not keys or key_of(recipient) in keys:
            receipts.apply(
                row, message, receipts.Report(gateway, theirs, state, detail, spellings=frozenset({name})), at=at
            )


def spellings(name: str) -> frozenset[str]:
    """A message's name as it may be written elsewhere: decimal for hexadecimal and back, with and without zeros or 0x,
    in capitals or small letters, in quotes or not, with and without a comma behind it."""
    found = {name}
    bare = name.strip("\"',;")
    name = bare[2:] if re.fullmatch(r"0[xX][0-9A-Fa-f]{1,16}", bare) else bare
    found |= {bare, name} - {""}
    if re.fullmatch(r"[0-9]{1,20}", name):
        found |= _written(int(name), "x") | _written(int(name), "d")
    if re.fullmatch(r"[0-9A-Fa-f]{1,16}", name):
        found |= _written(int(name, 16), "x") | _written(int(name, 16), "d")
    return frozenset(found | {each.upper() for each in found} | {each.lower() for each in found})


def _written(number: int, base: str) -> set[str]:
    found = {format(number, base).zfill(width) for width in _WIDTHS}
    return found | {f"0x{number:x}", f"0x{number:X}"} if base == "x" else found


def _parameters(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """The optional parameters (TLV): tag and value of each, as far as they are whole."""
    while len(octets) >= 4:
        tag, length = int.from_bytes(octets[:2]), int.from_bytes(octets[2:4])
        if len(octets) < 4 + length:
            return
        yield tag, octets[4 : 4 + length]
        octets = octets[4 + length :]


def _decoded(octets: bytes, *, has_header: bool) -> str:
    """A receipt's text. All that it says is ASCII, so that UTF-16 shows by the zero in its first character, whatever
    data_coding says."""
    if has_header and octets and octets[0] <= _LONGEST_HEADER:
        octets = octets[1 + octets[0] :]
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    if octets[:1] == b"\0" or octets.startswith(b"\xfe\xff"):
        return octets.decode("utf-16-be", errors="replace").lstrip("\ufeff")
    if octets[1:2] == b"\0" or octets.startswith(b"\xff\xfe"):
        return octets.decode("utf-16-le", errors="replace").lstrip("\ufeff")
    return octets.decode("latin-1")


def _is_whole(text: str) -> bool:
    """Appendix B's text and nothing before it: an id, a final state, and something besides. People do not write so."""
    return bool(
        _WHOLE.match(text) and _found(_ID, text) and _BESIDES.search(text) and final_state(_found(_STATE, text))
    )


def _octets(pdu: object, field: str) -> bytes:
    value = getattr(pdu, field, None)
    return value if isinstance(value, bytes) else b""


def _found(form: re.Pattern[str], text: str) -> str:
    match = form.search(text)
    return match[1] if match else ""


def _number(pdu: object, field: str) -> str:
    """An address of the receipt: as we write a number down, or as it is."""
    address = printable(_octets(pdu, field))
    return national(address) if _NUMBER.fullmatch(address) else address
