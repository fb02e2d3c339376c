"""Encoding of texts for SMPP: data_coding, division into segments, validity period."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smpplib.consts import SMPP_ENCODING_DEFAULT, SMPP_ENCODING_ISO10646

from messaging import gsm

GSM_SEGMENT, UCS2_SEGMENT = 160, 140
"""Octets of one segment: 160 septets, each sent in an octet of its own (unpacked), or 70 UCS-2 characters."""
GSM_PART, UCS2_PART = 153, 134
"""Octets of one of several segments, beside its user data header (3GPP TS 23.040, section 9.2.3.24.1)."""
MAX_PARTS = 255
MAX_VALIDITY = timedelta(days=3)
_ESCAPE = 0x1B
"""First octet of a character from the extension table."""


@dataclass(frozen=True, slots=True)
class Encoded:
    data_coding: int
    octets: bytes
    is_long: bool  # more than one segment: sent as message_payload, which the SMSC divides, or in parts

    def fields(self) -> dict[str, Any]:
        """Fields of a submit_sm. A message of any length is one PDU, so it has one answer, one id, and no lost part."""
        return {"data_coding": self.data_coding, ("message_payload" if self.is_long else "short_message"): self.octets}

    def parts(self, reference: int) -> list[bytes]:
        """Divide the text, for an SMSC that refuses message_payload: each part with its user data header.

        No character is cut in two, as smpplib's own division would do. Raises ValueError where the text is too long.
        """
        pieces, rest = [], self.octets
        while rest:
            end = self._end_of_part(rest)
            pieces.append(rest[:end])
            rest = rest[end:]
        if len(pieces) > MAX_PARTS:
            raise ValueError("the text is too long")
        head = bytes((5, 0, 3, reference % 256, len(pieces)))
        return [head + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)]

    def _end_of_part(self, rest: bytes) -> int:
        if self.data_coding == SMPP_ENCODING_DEFAULT:
            return GSM_PART - (len(rest) > GSM_PART and rest[GSM_PART - 1] == _ESCAPE)
        is_first_half = len(rest) > UCS2_PART and 0xD8 <= rest[UCS2_PART - 2] <= 0xDB  # of a surrogate pair
        return UCS2_PART - 2 * is_first_half


def encoded(text: str) -> Encoded:
    """Encode in GSM 03.38 where it has every character (two octets for those of its extension table), else in UCS-2."""
    try:
        octets = gsm.encode(text)
    except UnicodeError:
        octets = text.encode("utf-16-be", errors="replace")
        return Encoded(SMPP_ENCODING_ISO10646, octets, len(octets) > UCS2_SEGMENT)
    return Encoded(SMPP_ENCODING_DEFAULT, octets, len(octets) > GSM_SEGMENT)


def validity(send_before: datetime | None, *, at: datetime) -> str | None:
    """The relative validity_period (SMPP 3.4, section 7.1.1.2) up to `send_before`, in whole seconds, rounded down.

    Empty: the SMSC's default applies. None: less than a second is left, the message must not be sent.
    """
    if send_before is None:
        return ""
    left = int(min(send_before - at, MAX_VALIDITY).total_seconds())
    if left < 1:
        return None
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"
