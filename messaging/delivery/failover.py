"""Failover: chooses the provider of a message and keeps the circuit breaker of each provider.

Providers are tried in the order of the setting, without those whose circuit is open, which have no free slot, or which
asked us to wait. Each worker decides from its own calls when to open a circuit (`messaging.delivery.circuit_breaker`).
The state is a row that all workers read, at most a second old. When the backoff of an open circuit ends, one message
tries the provider (half-open): a message taken closes the circuit, a failure or refusal doubles the backoff. When all
circuits are open, the preferred provider is called nevertheless: it may send a code, and without it none is sent."""

import itertools
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from django.conf import settings
from django.db import connection, transaction

from clients.models import audit
from messaging import sql
from messaging.delivery.circuit_breaker import Window
from messaging.gateways.base import Gateway, can_reach
from messaging.models import Message, ProviderEvent, ProviderState
from messaging.twins import PROVIDERS as TWIN_PROVIDERS

log = logging.getLogger(__name__)

FIRST_BACKOFF = timedelta(seconds=30)
MAX_BACKOFF = timedelta(minutes=10)
"""Time a circuit stays open: the first time, and at most. It doubles with each opening in a row."""
TRIAL_LEASE = timedelta(seconds=30)
"""Time limit of a trial message, as of any hand-over; after it the next message may try the provider."""
CALLS_PER_PROVIDER = settings.WORKER_THREADS * 5 // 8
"""Simultaneous calls to one provider in one process. When it hangs, threads are left for the others."""
BUSY_WAIT = 0.5
"""Seconds that a message waits at least when no provider has a free slot."""
CACHE_SECONDS = 1.0
"""Seconds for which the open circuits read from the database are reused."""


class NoProvider(LookupError):
    """No gateway is set for this via."""


@dataclass
class NotNow(Exception):
    """Every provider is busy or asked us to wait. `seconds`: when to try again."""

    seconds: float


@dataclass
class _LocalState:
    """State of this process, guarded by `lock`. No query is run while the lock is held."""

    lock: Lock = field(default_factory=Lock)
    windows: dict[str, Window] = field(default_factory=dict)
    paused_until: dict[str, float] = field(default_factory=dict)  # provider -> monotonic time of its next call
    open: dict[str, ProviderState] = field(default_factory=dict)
    read_at: float = float("-inf")
    calls: "itertools.count[int]" = field(default_factory=itertools.count)

    def window(self, name: str) -> Window:
        return self.windows.setdefault(name, Window())


local = _LocalState()


@dataclass(frozen=True)
class Call:
    """One call to a provider, which holds a slot from before the call until its answer."""

    provider: str
    number: int

    def ended(self, *, failed: bool | None) -> None:
        """Free the slot and count the result. `failed` None: the answer says nothing about the provider's health."""
        with local.lock:
            local.window(self.provider).end(self.number, failed=failed, now=time.monotonic())


def begin(name: str) -> Call:
    """Begin a call without choosing a provider: one of several over a kept connection."""
    call = Call(name, next(local.calls))
    with local.lock:
        local.window(name).begin(call.number, now=time.monotonic())
    return call


def choose_provider(gateways: Sequence[Gateway], message: Message | None, *, at: datetime) -> tuple[Gateway, Call]:
    """Choose the provider for the message's next attempt and take a slot of it. The caller must end the call.

    `message` None: for messages that were not tried yet, whoever they are to. Raises NoProvider, NotNow.
    """
    if not gateways:
        raise NoProvider(message.via if message is not None else "")
    ordered = _by_preference(gateways, message) if message is not None else list(gateways)
    open_now = open_circuits()
    for gateway in ordered:
        if gateway.name not in open_now:
            reason = _open_reason(gateway.name)
            if reason:
                open_circuit(gateway.name, reason, at=at)
    open_now = open_circuits()
    for gateway in ordered:
        state = open_now.get(gateway.name)
        if state is not None and not _claim_trial(state, at=at):
            continue
        call = _take_slot(gateway.name)
        if call is not None:
            return gateway, call
    candidates = [each for each in ordered if each.name not in open_now] or ordered
    for gateway in candidates:  # no closed circuit with a free slot: the first one that has a slot
        call = _take_slot(gateway.name)
        if call is not None:
            return gateway, call
    raise NotNow(min(_wait_for(each.name) for each in candidates))


def recipient_refused(name: str, recipient: str) -> None:
    """Count a permanent refusal of this recipient. Several different recipients in a row open the circuit."""
    with local.lock:
        local.window(name).add_refusal(recipient)


def message_taken(name: str) -> None:
    """Count a message taken, which shows that earlier refusals were about the recipients."""
    with local.lock:
        local.window(name).add_taken()


def back_off(name: str, seconds: float) -> None:
    """Pause the calls of this process to a provider that asked us to wait."""
    with local.lock:
        local.paused_until[name] = max(local.paused_until.get(name, 0.0), time.monotonic() + seconds)


def report_result(name: str, *, failed: bool, at: datetime) -> None:
    """Apply the result of a call to the circuit: open it, close it after a trial, or extend its backoff."""
    state = open_circuits().get(name)
    if state is None:
        reason = _open_reason(name) if failed else ""
        if reason:
            open_circuit(name, reason, at=at)
    elif state.until is not None and not failed:
        _close_after_trial(name, at=at)
    elif state.until is not None and state.until <= at:
        _extend_backoff(state, at=at)


def open_circuit(name: str, reason: str, *, at: datetime, by: str = "", address: str | None = None) -> None:
    """Open the circuit of a provider: until its backoff ends or, where staff did it (`by`), until they restore it."""
    with transaction.atomic():
        state, _ = ProviderState.objects.select_for_update(no_key=True).get_or_create(name=name)
        if state.is_open and not by:
            return
        state.set_aside_at, state.reason, state.by, state.probe_until = at, reason[:300], by, None
        state.until = None if by else at + _backoff(state.in_a_row)
        state.in_a_row += 0 if by else 1
        state.save()
        ProviderEvent.objects.create(provider=name, at=at, what="set_aside", reason=reason[:300], by=by)
        if by:
            audit(state, "provider.set_aside", at=at, by=by, reason=reason, address=address)
    log.warning("provider set aside", extra={"provider": name, "reason": reason, "by": by or "itself"})
    _invalidate(name)


def restore(name: str, *, at: datetime, by: str, reason: str = "", address: str | None = None) -> bool:
    """Close the circuit by hand, for staff. False: it was not open."""
    with transaction.atomic():
        state = ProviderState.objects.select_for_update(no_key=True).filter(name=name).first()
        if state is None or not state.is_open:
            return False
        _close(state, at=at, by=by, reason=reason)
        audit(state, "provider.restored", at=at, by=by, reason=reason, address=address)
    _invalidate(name)
    return True


def register(names: Iterable[str]) -> None:
    """Create the rows of the providers in use, so that staff see them before anything fails."""
    ProviderState.objects.bulk_create([ProviderState(name=name) for name in names], ignore_conflicts=True)


def open_circuits() -> dict[str, ProviderState]:
    """The open circuits by provider, read at most every CACHE_SECONDS."""
    with local.lock:
        if time.monotonic() - local.read_at < CACHE_SECONDS:
            return local.open
    found = {state.name: state for state in ProviderState.objects.filter(set_aside_at__isnull=False)}
    with local.lock:
        local.open, local.read_at = found, time.monotonic()
    return found


def _by_preference(gateways: Sequence[Gateway], message: Message) -> list[Gateway]:
    """The gateways in order: the preferred one first or, after a failed attempt, the one after the last provider.

    Those that cannot reach the recipient are left out, unless none can.
    """
    names = [gateway.name for gateway in gateways]
    start = names.index(message.provider) + 1 if message.attempts and message.provider in names else 0
    turn = [gateways[(start + each) % len(gateways)] for each in range(len(gateways))]
    return [gateway for gateway in turn if can_reach(gateway, message.recipient)] or turn


def _open_reason(name: str) -> str:
    if name in TWIN_PROVIDERS:
        return ""  # they fail where their recipients say so
    with local.lock:
        return local.window(name).open_reason(now=time.monotonic())


def _take_slot(name: str) -> Call | None:
    """Take a slot of the provider. None: all are in use, or the provider asked us to wait."""
    with local.lock:
        now = time.monotonic()
        window = local.window(name)
        if len(window.running) >= CALLS_PER_PROVIDER or local.paused_until.get(name, 0.0) > now:
            return None
        call = Call(name, next(local.calls))
        window.begin(call.number, now=now)
        return call


def _wait_for(name: str) -> float:
    """Seconds until the provider may be tried again."""
    with local.lock:
        return max(local.paused_until.get(name, 0.0) - time.monotonic(), BUSY_WAIT)


def _claim_trial(state: ProviderState, *, at: datetime) -> bool:
    """Claim the trial of a provider whose backoff has ended. Of all workers one gets it, for one message."""
    if state.until is None or state.until > at:
        return False
    with connection.cursor() as cursor:
        cursor.execute(sql.CLAIM_TRIAL, {"probe_until": at + TRIAL_LEASE, "name": state.name, "at": at})
        return bool(cursor.rowcount == 1)


def _close_after_trial(name: str, *, at: datetime) -> None:
    with transaction.atomic():
        state = ProviderState.objects.select_for_update(no_key=True).filter(name=name, until__isnull=False).first()
        if state is not None and state.is_open:
            _close(state, at=at, by="", reason="volvió a responder")
    log.info("provider restored", extra={"provider": name})
    _invalidate(name)


def _close(state: ProviderState, *, at: datetime, by: str, reason: str) -> None:
    state.set_aside_at = state.until = state.probe_until = None
    state.reason, state.by, state.in_a_row = "", "", 0
    state.save()
    ProviderEvent.objects.create(provider=state.name, at=at, what="restored", reason=reason[:300], by=by)


def _extend_backoff(state: ProviderState, *, at: datetime) -> None:
    """Double the backoff after a failed trial. Conditional: of several trials that failed together one counts."""
    ProviderState.objects.filter(name=state.name, until=state.until, set_aside_at__isnull=False).update(
        until=at + _backoff(state.in_a_row), in_a_row=state.in_a_row + 1, probe_until=None
    )
    _invalidate(state.name)


def _backoff(in_a_row: int) -> timedelta:
    return min(FIRST_BACKOFF * (1 << min(in_a_row, 10)), MAX_BACKOFF)


def _invalidate(name: str) -> None:
    with local.lock:
        local.read_at = float("-inf")
        local.window(name).clear()
