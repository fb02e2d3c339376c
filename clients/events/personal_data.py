"""Events about a person: what their copy has of them, and what an erasure leaves.

An event stays, since a reader of the feed must find no gap; what can still point at an erased person is the masked
destination, and it goes. The ids that remain are those of rows that are blank or gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Q

from clients.events import sql
from clients.events.models import EventType

OF_AN_AUTHORIZATION = (
    EventType.AUTHORIZATION_SUBSCRIBED,
    EventType.AUTHORIZATION_UNSUBSCRIBED,
    EventType.AUTHORIZATION_SUPPRESSED,
)
"""Types whose subject is the number of an authorisation. Others have numbers of requests, which may be the same."""


@dataclass(frozen=True)
class Subjects:
    """What events about one person have as their subject."""

    ids: Sequence[str]  # of codes, messages and external clients
    authorizations: Sequence[str]

    def pieces(self, size: int) -> list[Q]:
        """Conditions that together match all of the person's events, each with `size` subjects at most."""
        by_number = {"type__in": OF_AN_AUTHORIZATION}
        return [
            Q(subject__in=names[start : start + size], **also)
            for names, also in ((self.ids, {}), (self.authorizations, by_number))
            for start in range(0, len(names), size)
        ]


def erase(subjects: Subjects) -> int:
    """Remove the masked destinations of events, in the caller's transaction; return how many had one."""
    params = {
        "ids": list(subjects.ids),
        "authorizations": list(subjects.authorizations),
        "types": [str(each.value) for each in OF_AN_AUTHORIZATION],
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.ERASE_DESTINATIONS, params)
        return int(cursor.rowcount)
