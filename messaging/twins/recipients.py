"""Test recipients: numbers and mailboxes whose last three digits say what becomes of a twin's message. No I/O.

For a live partner they are recipients as any other. The table for partners is in docs/guia/8-pruebas.md.
"""

import enum
import re

_IN_MAILBOX = re.compile(r"\+([0-9]{3})@")
_IN_NUMBER = re.compile(r"([0-9]{3})\Z")


class Case(enum.Enum):
    """What becomes of a message, by the three digits of its recipient."""

    KNOWN_CODE = "000"  # delivered, with KNOWN_CODE
    DELIVERED = "001"  # as any recipient that is not in this table
    REFUSED = "010"  # no provider takes it
    UNDELIVERABLE = "011"  # taken, and reported as undeliverable
    UNKNOWN = "012"  # no clear answer
    SECOND_PROVIDER = "013"  # the first provider fails, the second one takes it
    LATE = "020"  # taken, and delivered when its code is over
    NOT_ON_WHATSAPP = "030"  # WhatsApp reports it as undeliverable; the fallback is sent by SMS
    BOUNCES = "040"  # a mail that comes back
    COMPLAINS = "041"  # a mail that its reader reports as spam


KNOWN_CODE = "A1B2"
FIRST_RUNG, LAST_RUNG = 1, 99
_CASES = {case.value: case for case in Case}


def digits_of(recipient: str) -> str:
    """The three digits: at the end of a number, after the `+` of a mailbox; empty: there are none."""
    found = _IN_MAILBOX.search(recipient) if "@" in recipient else _IN_NUMBER.search(recipient)
    return found[1] if found else ""


def case_of(recipient: str) -> Case:
    return _CASES.get(digits_of(recipient), Case.DELIVERED)


def code_for(recipient: str) -> str | None:
    """The code that a recipient always gets. None: a random one."""
    return KNOWN_CODE if case_of(recipient) is Case.KNOWN_CODE else None


def rung_of(recipient: str) -> int | None:
    """Rung of the ladder at which a recipient begins. None: at the first one, as everybody."""
    digits = digits_of(recipient)
    rung = int(digits[1:]) if digits.startswith("1") else 0
    return rung if rung >= FIRST_RUNG else None
