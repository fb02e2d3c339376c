"""Safe retries: the first answer to an Idempotency-Key is given again, byte for byte, for 24 hours.

Kept in PostgreSQL, beside the work it answers for, not in Redis: a retry after an outage is when it is needed most.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from clients import sealing
from clients.models import Partner
from external_api.frontdoor.errors import BadRequest, IdempotencyConflict
from external_api.models import IdempotentAnswer

KEPT_FOR = timedelta(hours=24)
RUNS_AT_MOST = timedelta(minutes=1)
"""A call that has not answered by then died with its process; its key may be used again."""
FINAL = frozenset({400, 404})
"""Kept beside 2xx; never 401, 409, 429 or 5xx, which the next try may well not meet."""

SEALED = sealing.MARK.encode()
"""What the body of a kept answer begins with that shows a secret; a plain one is JSON."""
_PURPOSE = "kept-answer"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Kept:
    """The first answer."""

    status: int
    body: bytes


def begin(partner: Partner, contract: str, key: str, *, asked: bytes, at: datetime) -> IdempotentAnswer | Kept:
    """Claims the key for this call, or finds the answer it already has. `asked`: method, path and body.

    Raises BadRequest for a key that is none, IdempotencyConflict for one in use.
    """
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key debe tener de 1 a 255 caracteres ASCII visibles.")
    fingerprint = hashlib.sha256(asked).digest()
    of_key = IdempotentAnswer.objects.filter(partner=partner, contract=contract, key=key)
    stale = Q(created_at__lt=at - KEPT_FOR) | Q(status__isnull=True, created_at__lt=at - RUNS_AT_MOST)
    of_key.filter(stale).delete()
    row = IdempotentAnswer(partner=partner, contract=contract, key=key, fingerprint=fingerprint, created_at=at)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        first = of_key.first()
        if first is None or (first.fingerprint_is(fingerprint) and first.status is None):
            raise IdempotencyConflict(running=True) from None
        if not first.fingerprint_is(fingerprint):
            raise IdempotencyConflict(running=False) from None
        return Kept(status=first.status or 0, body=_opened(first))
    return row


def finish(row: IdempotentAnswer, *, status: int, body: bytes, shows_secret: bool = False) -> None:
    """Keeps a final answer, frees the key after any other. One that shows a secret is kept sealed."""
    mine = IdempotentAnswer.objects.filter(pk=row.pk)
    if 200 <= status < 300 or status in FINAL:
        kept = sealing.seal(_PURPOSE, body, owner=str(row.pk)).encode() if shows_secret else body
        mine.update(status=status, body=kept)
    else:
        mine.delete()


def _opened(row: IdempotentAnswer) -> bytes:
    """The answer as it was given. One that nobody can open any more is not given, and the act not done again either."""
    body = bytes(row.body or b"")
    if not body.startswith(SEALED):
        return body
    try:
        return sealing.unseal(_PURPOSE, body.decode(), owner=str(row.pk))
    except sealing.CannotUnseal:
        raise IdempotencyConflict(running=False) from None
