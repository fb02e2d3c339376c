"""Delivery receipts: a deliver_sm (or data_sm) that says what became of a message.

SMPP 3.4 leaves their text to the vendor; nearly all write that of its appendix B:

    id:0123456789 sub:001 dlvrd:001 submit date:2602121030 done date:2602121031 stat:DELIVRD err:000 text:...

Some name the message in hexadecimal when they take it and in decimal in the receipt, or the other way round, or with
zeros in front. So a name that is not found as it came is looked for in its other spellings: with the same SMSC, and to
the same telephone.
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from smpplib import smpp

from messaging import receipts
from messaging.gateways.smpp_codes import STATE_NUMBERS, STATES
from messaging.smpp.line import Frame
from messaging.smpp.pdus import DELIVER_SM, printable

log = logging.getLogger(__name__)

_KIND = 0x3C
"""The bits of esm_class that say what a message from the SMSC is (SMPP 3.4, section 5.2.12)."""
_RECEIPTS = frozenset({0x04, 0x20})  # a receipt; a word on the way
_ID = re.compile(rb"\bid:\s*([0-9A-Za-z._:-]{1,65})", re.IGNORECASE)
_STATE = re.compile(rb"\bstat:\s*([A-Z]{1,10})", re.IGNORECASE)
_ERROR = re.compile(rb"\berr:\s*([0-9A-Za-z]{1,10})", re.IGNORECASE)
_SPELT = {"DELIVERED": "DELIVRD", "UNDELIVERABLE": "UNDELIV", "UNDELIVERED": "UNDELIV", "REJECTED": "REJECTD"}
_WIDTHS = (0, 8, 10)
"""Zeros in front: none, as many as a 32-bit number has hexadecimal digits, as appendix B has digits."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a receipt says. Never its text: that may quote the message, and so its code."""

    name: str  # the SMSC's for the message
    state: str  # as in STATES; another or none: it says nothing final
    error: str  # the network's own code
    numbers: tuple[str, str] = ("", "")  # from whom and to whom, nine digits each: one of them is the client's

    @property
    def report_state(self) -> str:
        """DELIVERED, UNDELIVERED, or empty where nothing is decided."""
        if self.state == "DELIVRD":
            return "DELIVERED"
        return "UNDELIVERED" if self.state in STATES else ""

    @property
    def detail(self) -> str:
        reason = STATES.get(self.state, "")
        return f"{reason} (err {self.error})" if reason and self.error.strip("0") else reason


def read(frame: Frame) -> Word | None:
    """What a receipt says; None: it is none, but a message from a telephone."""
    pdu = smpp.make_pdu("deliver_sm" if frame.command == DELIVER_SM else "data_sm", sequence=frame.sequence, status=0,
                        allow_unknown_opt_params=True)  # fmt: skip
    try:
        pdu.parse(frame.raw)
    except Exception:  # noqa: BLE001  smpplib raises whatever it stumbles over; what it read before that stays
        log.warning("a message from the SMSC could not be read to its end", extra={"command": frame.command})
    named = printable(_octets(pdu, "receipted_message_id").partition(b"\0")[0])
    if not named and (getattr(pdu, "esm_class", 0) or 0) & _KIND not in _RECEIPTS:
        return None
    text = _octets(pdu, "short_message") or _octets(pdu, "message_payload")
    state = STATE_NUMBERS.get(getattr(pdu, "message_state", None) or 0) or _found(_STATE, text).upper()
    numbers = (_national(pdu, "source_addr"), _national(pdu, "destination_addr"))
    return Word(named or _found(_ID, text), _SPELT.get(state, state), _found(_ERROR, text), numbers)


def keep(gateway: str, word: Word, *, at: datetime) -> bool:
    """Writes a receipt down and applies it; False: nothing moved. A database that fails raises its own error."""
    if not word.name or not word.report_state:
        log.info("the SMSC reported nothing final", extra={"provider": gateway, "state": word.state[:10]})
        return False
    name = _our_spelling(gateway, word)
    return receipts.receive(receipts.Report(gateway, name, word.report_state, word.detail), at=at)


def catch_up(gateway: str, message: UUID, name: str, *, at: datetime) -> None:
    """A message was taken under this name: applies what came before under another spelling of it.

    Only what came after the hand-over counts, and what is not about a message that bears just that name.
    """
    others = spellings(name) - {name}
    if not others:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, detail FROM messaging_providerreceipt AS receipt"
            " WHERE provider_id = ANY(%s) AND provider = %s"
            " AND at >= (SELECT handed_over_at FROM messaging_message WHERE id = %s)"
            " AND NOT EXISTS (SELECT FROM messaging_message AS other"
            " WHERE other.provider_id = receipt.provider_id AND other.provider = receipt.provider) ORDER BY id",
            [list(others), gateway, message],
        )
        early = cursor.fetchall()
    for state, detail in early:
        receipts.receive(receipts.Report(gateway, name, state, detail), at=at)


def spellings(name: str) -> frozenset[str]:
    """A message's name as it may be written elsewhere: decimal for hexadecimal and back, with and without zeros."""
    found = {name}
    if re.fullmatch(r"[0-9]{1,20}", name):
        found |= _written(int(name), "x") | _written(int(name), "d")
    if re.fullmatch(r"[0-9A-Fa-f]{1,16}", name):
        found |= _written(int(name, 16), "x") | _written(int(name, 16), "d")
    return frozenset(found | {each.upper() for each in found})


def _written(number: int, base: str) -> set[str]:
    return {format(number, base).zfill(width) for width in _WIDTHS}


def _our_spelling(gateway: str, word: Word) -> str:
    """As we have written it down; as it came where no such message is known yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT provider_id FROM messaging_message WHERE provider_id = ANY(%(spellings)s)"
            " AND provider = %(gateway)s AND (provider_id = %(name)s OR recipient = ANY(%(numbers)s))"
            " ORDER BY provider_id = %(name)s DESC, created_at DESC LIMIT 1",
            {
                "spellings": list(spellings(word.name)), "gateway": gateway, "name": word.name,
                "numbers": list(word.numbers),
            },
        )  # fmt: skip
        row = cursor.fetchone()
    return str(row[0]) if row else word.name


def _octets(pdu: object, field: str) -> bytes:
    value = getattr(pdu, field, None)
    return value if isinstance(value, bytes) else b""


def _found(form: re.Pattern[bytes], text: bytes) -> str:
    match = form.search(text)
    return match[1].decode("ascii") if match else ""


def _national(pdu: object, field: str) -> str:
    return printable(_octets(pdu, field))[-9:]
