"""Idempotency keys: the first answer to an Idempotency-Key is given again, byte for byte, for 24 hours
(docs/contracts/README.md, What all three have in common).

Answers are stored in PostgreSQL, beside the rows of the work, not in Redis: a retry after an outage needs them most.
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

ANSWER_LIFETIME = timedelta(hours=24)
RUNNING_TIMEOUT = timedelta(minutes=1)
"""A call that has not answered by then died with its process; its key may be used again."""
FINAL_STATUSES = frozenset({400, 404})
"""Stored beside 2xx; never 401, 409, 429 or 5xx, which the next try may well not meet."""

SEAL_MARK = sealing.MARK.encode()
"""First bytes of a stored body that holds a secret and is sealed; a plain body is JSON."""
PURPOSE = "kept-answer"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class StoredAnswer:
    """First answer to a key."""

    status: int
    body: bytes


def begin(partner: Partner, contract: str, key: str, *, asked: bytes, at: datetime) -> IdempotentAnswer | StoredAnswer:
    """Claim the key for this call, or return the answer it already has. `asked`: method, path and body.

    Raises BadRequest for a malformed key, IdempotencyConflict for one in use.
    """
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key debe tener de 1 a 255 caracteres ASCII visibles.")
    fingerprint = hashlib.sha256(asked).digest()
    of_key = IdempotentAnswer.objects.filter(partner=partner, contract=contract, key=key)
    stale = Q(created_at__lt=at - ANSWER_LIFETIME) | Q(status__isnull=True, created_at__lt=at - RUNNING_TIMEOUT)
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
        return StoredAnswer(status=first.status or 0, body=_stored_body(first))
    return row


def finish(row: IdempotentAnswer, *, status: int, body: bytes, shows_secret: bool = False) -> None:
    """Store a final answer, free the key after any other. An answer that shows a secret is stored sealed."""
    mine = IdempotentAnswer.objects.filter(pk=row.pk)
    if 200 <= status < 300 or status in FINAL_STATUSES:
        stored = sealing.seal(PURPOSE, body, owner=str(row.pk)).encode() if shows_secret else body
        mine.update(status=status, body=stored)
    else:
        mine.delete()


def forget(partner: Partner) -> None:
    """Forget the partner's answers, but for those of calls that are running: what they told is gone."""
    IdempotentAnswer.objects.filter(partner=partner, status__isnull=False).delete()


def _stored_body(row: IdempotentAnswer) -> bytes:
    """The answer as it was given. Raises IdempotencyConflict if its seal cannot be opened: the act is not repeated."""
    body = bytes(row.body or b"")
    if not body.startswith(SEAL_MARK):
        return body
    try:
        return sealing.unseal(PURPOSE, body.decode(), owner=str(row.pk))
    except sealing.CannotUnseal:
        raise IdempotencyConflict(running=False) from None
