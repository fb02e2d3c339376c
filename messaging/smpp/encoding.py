"""Encoding of a text for SMPP: its data coding, its segments, and its validity period."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smpplib.consts import SMPP_ENCODING_DEFAULT, SMPP_ENCODING_ISO10646

from messaging import gsm

GSM_SEGMENT, UCS2_SEGMENT = 160, 140
"""Octets of a single segment: 160 septets, each in an octet of its own (unpacked), or 70 UCS-2 characters."""
GSM_PART, UCS2_PART = 153, 134
"""Octets of one of several segments, beside the user data header (3GPP TS 23.040, section 9.2.3.24.1)."""
MOST_PARTS = 255
LONGEST_VALIDITY = timedelta(days=3)
_ESCAPE = 0x1B
"""Begins a character of the extension table."""


@dataclass(frozen=True, slots=True)
class Encoded:
    data_coding: int
    octets: bytes
    is_long: bool  # more than one segment: it goes as message_payload, and the SMSC divides it, or we do

    def fields(self) -> dict[str, Any]:
        """Fields of a submit_sm. One message is one PDU whatever its length: one answer, one id, no lost half."""
        return {"data_coding": self.data_coding, ("message_payload" if self.is_long else "short_message"): self.octets}

    def parts(self, reference: int) -> list[bytes]:
        """Text divided for an SMSC that refuses message_payload, each part with its user data header.

        No character is cut in two. Raises ValueError if it is too long. smpplib's own division cuts characters.
        """
        pieces, rest = [], self.octets
        while rest:
            end = self._end_of_part(rest)
            pieces.append(rest[:end])
            rest = rest[end:]
        if len(pieces) > MOST_PARTS:
            raise ValueError("the text is too long")
        head = bytes((5, 0, 3, reference % 256, len(pieces)))
        return [head + bytes((number,)) + piece for number, piece in enumerate(pieces, 1)]

    def _end_of_part(self, rest: bytes) -> int:
        if self.data_coding == SMPP_ENCODING_DEFAULT:
            return GSM_PART - (len(rest) > GSM_PART and rest[GSM_PART - 1] == _ESCAPE)
        is_first_half = len(rest) > UCS2_PART and 0xD8 <= rest[UCS2_PART - 2] <= 0xDB  # of a surrogate pair
        return UCS2_PART - 2 * is_first_half


def encoded(text: str) -> Encoded:
    """GSM 03.38 if every character is in it, two octets for those of its extension; otherwise UCS-2."""
    try:
        octets = gsm.encode(text)
    except UnicodeError:
        octets = text.encode("utf-16-be", errors="replace")
        return Encoded(SMPP_ENCODING_ISO10646, octets, len(octets) > UCS2_SEGMENT)
    return Encoded(SMPP_ENCODING_DEFAULT, octets, len(octets) > GSM_SEGMENT)


def validity(send_before: datetime | None, *, at: datetime) -> str | None:
    """Relative validity_period (SMPP 3.4, section 7.1.1.2) that ends with the code's life, in whole seconds rounded
    down. Empty: the SMSC's own. None: less than a second is left, and it must not be sent."""
    if send_before is None:
        return ""
    left = int(min(send_before - at, LONGEST_VALIDITY).total_seconds())
    if left < 1:
        return None
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"
