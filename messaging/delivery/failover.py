"""Failover: the provider for a message, in the order of the setting, without those that fail, hang or asked us to wait.

Each worker judges by its own calls (`messaging.delivery.circuit_breaker`). An open circuit is a row that all workers
read, at most a second old. When its time is up, one message tries the provider: if it is taken the circuit closes, if
not it stays open twice as long. If every circuit is open, the first provider is used all the same: a doubtful provider
may send a code, no provider certainly does not.
"""

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
from messaging.delivery.circuit_breaker import Window
from messaging.gateways.base import Gateway, can_reach
from messaging.models import Message, ProviderEvent, ProviderState

log = logging.getLogger(__name__)

FIRST_REST = timedelta(seconds=30)
LONGEST_REST = timedelta(minutes=10)
"""Backoff: how long a circuit stays open the first time, and at most. It doubles each time in a row."""
PROBE = timedelta(seconds=30)
"""Longest duration of a trial, as for any hand-over; then the next message may try."""
AT_ONCE = settings.WORKER_THREADS * 5 // 8
"""Most calls to one provider at a time in one process, so that a hanging one leaves threads for the others."""
FULL = 0.5
"""Least seconds before a message for which no provider has a free slot is tried again."""
FRESH = 1.0
"""Seconds for which the shared circuit states are cached."""


class NoProvider(LookupError):
    """No gateway is set for this via."""


@dataclass
class NotNow(Exception):
    """Every provider is busy or asked us to wait; try again after `seconds`."""

    seconds: float


@dataclass
class _Known:
    """State of this process. Guarded by `lock`, under which no database query is made."""

    lock: Lock = field(default_factory=Lock)
    windows: dict[str, Window] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)  # provider -> when it may be asked again
    aside: dict[str, ProviderState] = field(default_factory=dict)
    looked: float = float("-inf")
    calls: "itertools.count[int]" = field(default_factory=itertools.count)

    def window(self, name: str) -> Window:
        return self.windows.setdefault(name, Window())


known = _Known()


@dataclass(frozen=True)
class Call:
    """Call to one provider, from just before it to its answer."""

    provider: str
    number: int

    def ended(self, *, failed: bool | None) -> None:
        """`failed` None: the answer does not tell whether the provider is healthy."""
        with known.lock:
            known.window(self.provider).end(self.number, failed=failed, now=time.monotonic())


def begin(name: str) -> Call:
    """Begin a call without choosing a provider: one of several over a kept connection."""
    call = Call(name, next(known.calls))
    with known.lock:
        known.window(name).begin(call.number, now=time.monotonic())
    return call


def choose(gateways: Sequence[Gateway], message: Message, *, at: datetime) -> tuple[Gateway, Call]:
    """Choose the provider for the message's next attempt and take one of its slots; ending the call frees it. Raises
    NoProvider, NotNow."""
    if not gateways:
        raise NoProvider(message.via)
    turn = _in_turn(gateways, message)
    aside = open_circuits()
    for gateway in turn:
        if gateway.name not in aside:
            reason = _verdict(gateway.name)
            if reason:
                open_circuit(gateway.name, reason, at=at)
    aside = open_circuits()
    for gateway in turn:
        state = aside.get(gateway.name)
        if state is not None and not _take_probe(state, at=at):
            continue
        call = _take_place(gateway.name)
        if call is not None:
            return gateway, call
    candidates = [each for each in turn if each.name not in aside] or turn
    for gateway in candidates:  # all are set aside: the first that has a place
        call = _take_place(gateway.name)
        if call is not None:
            return gateway, call
    raise NotNow(min(_wait_for(each.name) for each in candidates))


def refused(name: str, recipient: str) -> None:
    """The provider refused this recipient for good. Several different ones in a row count against it."""
    with known.lock:
        known.window(name).refuse(recipient)


def took(name: str) -> None:
    """The provider took a message: its earlier refusals were about their recipients."""
    with known.lock:
        known.window(name).take()


def rest(name: str, seconds: float) -> None:
    """Back off: the provider asked us to wait, and this process offers it nothing until then."""
    with known.lock:
        known.resting[name] = max(known.resting.get(name, 0.0), time.monotonic() + seconds)


def settle(name: str, *, failed: bool, at: datetime) -> None:
    """Effect of a finished call on the circuit: closed, open for longer, or opened."""
    state = open_circuits().get(name)
    if state is None:
        reason = _verdict(name) if failed else ""
        if reason:
            open_circuit(name, reason, at=at)
    elif state.until is not None and not failed:
        _restore_by_itself(name, at=at)
    elif state.until is not None and state.until <= at:
        _stay_away(state, at=at)


def open_circuit(name: str, reason: str, *, at: datetime, by: str = "", address: str | None = None) -> None:
    """Open the circuit of a provider: until its time is up, or, if a person did it (`by`), until it is restored."""
    with transaction.atomic():
        state, _ = ProviderState.objects.select_for_update(no_key=True).get_or_create(name=name)
        if state.is_open and not by:
            return
        state.set_aside_at, state.reason, state.by, state.probe_until = at, reason[:300], by, None
        state.until = None if by else at + _rest_after(state.in_a_row)
        state.in_a_row += 0 if by else 1
        state.save()
        ProviderEvent.objects.create(provider=name, at=at, what="set_aside", reason=reason[:300], by=by)
        if by:
            audit(state, "provider.set_aside", at=at, by=by, reason=reason, address=address)
    log.warning("provider set aside", extra={"provider": name, "reason": reason, "by": by or "itself"})
    _look_again(name)


def restore(name: str, *, at: datetime, by: str, reason: str = "", address: str | None = None) -> bool:
    """Close a circuit by hand; False if it was not open."""
    with transaction.atomic():
        state = ProviderState.objects.select_for_update(no_key=True).filter(name=name).first()
        if state is None or not state.is_open:
            return False
        _put_back(state, at=at, by=by, reason=reason)
        audit(state, "provider.restored", at=at, by=by, reason=reason, address=address)
    _look_again(name)
    return True


def introduce(names: Iterable[str]) -> None:
    """Store the providers in use, so that staff sees them before anything goes wrong."""
    ProviderState.objects.bulk_create([ProviderState(name=name) for name in names], ignore_conflicts=True)


def open_circuits() -> dict[str, ProviderState]:
    """Open circuits by provider, cached for FRESH seconds."""
    with known.lock:
        if time.monotonic() - known.looked < FRESH:
            return known.aside
    found = {state.name: state for state in ProviderState.objects.filter(set_aside_at__isnull=False)}
    with known.lock:
        known.aside, known.looked = found, time.monotonic()
    return found


def _in_turn(gateways: Sequence[Gateway], message: Message) -> list[Gateway]:
    """Providers in order: the preferred one first; after a failed attempt, the one after it. Without those that cannot
    reach the recipient, unless none can."""
    names = [gateway.name for gateway in gateways]
    start = names.index(message.provider) + 1 if message.attempts and message.provider in names else 0
    turn = [gateways[(start + each) % len(gateways)] for each in range(len(gateways))]
    return [gateway for gateway in turn if can_reach(gateway, message.recipient)] or turn


def _verdict(name: str) -> str:
    with known.lock:
        return known.window(name).verdict(now=time.monotonic())


def _take_place(name: str) -> Call | None:
    """Take a slot of the provider, unless all are taken or it asked us to wait."""
    with known.lock:
        now = time.monotonic()
        window = known.window(name)
        if len(window.in_hand) >= AT_ONCE or known.resting.get(name, 0.0) > now:
            return None
        call = Call(name, next(known.calls))
        window.begin(call.number, now=now)
        return call


def _wait_for(name: str) -> float:
    """Seconds after which another try makes sense."""
    with known.lock:
        return max(known.resting.get(name, 0.0) - time.monotonic(), FULL)


def _take_probe(state: ProviderState, *, at: datetime) -> bool:
    """Claim the trial of a provider whose time is up: one message of one worker."""
    if state.until is None or state.until > at:
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_providerstate SET probe_until = %s WHERE name = %s AND set_aside_at IS NOT NULL"
            " AND until <= %s AND (probe_until IS NULL OR probe_until < %s)",
            [at + PROBE, state.name, at, at],
        )
        return bool(cursor.rowcount == 1)


def _restore_by_itself(name: str, *, at: datetime) -> None:
    with transaction.atomic():
        state = ProviderState.objects.select_for_update(no_key=True).filter(name=name, until__isnull=False).first()
        if state is not None and state.is_open:
            _put_back(state, at=at, by="", reason="volvió a responder")
    log.info("provider restored", extra={"provider": name})
    _look_again(name)


def _put_back(state: ProviderState, *, at: datetime, by: str, reason: str) -> None:
    state.set_aside_at = state.until = state.probe_until = None
    state.reason, state.by, state.in_a_row = "", "", 0
    state.save()
    ProviderEvent.objects.create(provider=state.name, at=at, what="restored", reason=reason[:300], by=by)


def _stay_away(state: ProviderState, *, at: datetime) -> None:
    """A trial failed: the circuit stays open for longer. Conditional: of several failures together one counts."""
    ProviderState.objects.filter(name=state.name, until=state.until, set_aside_at__isnull=False).update(
        until=at + _rest_after(state.in_a_row), in_a_row=state.in_a_row + 1, probe_until=None
    )
    _look_again(state.name)


def _rest_after(in_a_row: int) -> timedelta:
    return min(FIRST_REST * (1 << min(in_a_row, 10)), LONGEST_REST)


def _look_again(name: str) -> None:
    with known.lock:
        known.looked = float("-inf")
        known.window(name).forget()
