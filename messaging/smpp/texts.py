"""A text as SMPP carries it: its encoding, whether one segment holds it, and how long it is good for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smpplib.consts import SMPP_ENCODING_DEFAULT, SMPP_ENCODING_ISO10646

from messaging import gsm

GSM_SEGMENT, UCS2_SEGMENT = 160, 140
"""Octets in one segment: 160 septets, each in an octet of its own on the line (unpacked), or 70 UCS-2 characters."""
LONGEST_VALIDITY = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Encoded:
    data_coding: int
    octets: bytes
    is_long: bool  # more than one segment: it goes as message_payload, and the SMSC divides it

    def fields(self) -> dict[str, Any]:
        """Of a submit_sm. One message is one PDU, whatever its length: one answer, one name, no half of it lost."""
        return {"data_coding": self.data_coding, ("message_payload" if self.is_long else "short_message"): self.octets}


def encoded(text: str) -> Encoded:
    """GSM 03.38 where every character is in it, two octets for those of its extension; else UCS-2."""
    try:
        octets = gsm.encode(text)
    except UnicodeError:
        octets = text.encode("utf-16-be", errors="replace")
        return Encoded(SMPP_ENCODING_ISO10646, octets, len(octets) > UCS2_SEGMENT)
    return Encoded(SMPP_ENCODING_DEFAULT, octets, len(octets) > GSM_SEGMENT)


def validity(send_before: datetime | None, *, at: datetime) -> str | None:
    """The relative validity_period (SMPP 3.4, section 7.1.1.2) that ends with the code's life, in whole seconds
    rounded down. Empty: the SMSC's own. None: there is no whole second left, it must not leave."""
    if send_before is None:
        return ""
    left = int(min(send_before - at, LONGEST_VALIDITY).total_seconds())
    if left < 1:
        return None
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"
