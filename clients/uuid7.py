"""UUIDv7 (RFC 9562, 5.7), the ids of rows that are written all the time: codes and messages.

New ids stand beside each other in an index, so that a large history costs a new row nothing. PostgreSQL makes them from
version 18 on; Aval supports older ones. Within one millisecond the order is left to chance: a counter there, as Python
3.14 and the libraries have, would take bits from what nobody can guess and gain an index nothing.
"""

from secrets import randbits
from time import time_ns
from uuid import UUID

_VERSION_AND_VARIANT = 0x7000_8000_0000_0000_0000
_RANDOM = 0x0FFF_3FFF_FFFF_FFFF_FFFF


def uuid7() -> UUID:
    """A new id: the milliseconds since 1970, then 74 random bits."""
    return UUID(int=time_ns() // 1_000_000 << 80 | _VERSION_AND_VARIANT | randbits(80) & _RANDOM)
