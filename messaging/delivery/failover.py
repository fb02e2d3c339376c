"""Which provider takes a message now: in the order of the setting, without those that fail, hang or asked us to wait.

What one worker sees it judges by itself (`messaging.delivery.circuit_breaker`); the verdict is a row that all of them
read, at most a second old. A provider set aside is tried again with a single message when its time is up: if it takes
that it is back, if it fails or refuses it stays away twice as long. When nobody is left, the first in turn is asked all
the same: a doubtful provider may send a code, no provider certainly does not."""

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
"""How long a provider is set aside the first time, and at most; it doubles each time in a row."""
PROBE = timedelta(seconds=30)
"""What a probe may take at most, as any hand-over; then the next message may try."""
AT_ONCE = settings.WORKER_THREADS * 5 // 8
"""Calls to one provider at a time in one process: when it hangs, threads are left for the others."""
FULL = 0.5
"""Seconds a message waits at least when no provider has a place for it."""
FRESH = 1.0
"""Seconds a look at the shared verdicts is good for."""


class NoProvider(LookupError):
    """No gateway is set for this via."""


@dataclass
class NotNow(Exception):
    """Every provider is busy or asked us to wait; trying again makes sense in so many seconds."""

    seconds: float


@dataclass
class _Known:
    """What this process knows. Guarded by `lock`; nothing is asked of the database while it is held."""

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
    """One call to a provider, from the moment before it to its answer."""

    provider: str
    number: int

    def ended(self, *, failed: bool | None) -> None:
        """`failed` None: the answer says nothing about the provider's health."""
        with known.lock:
            known.window(self.provider).end(self.number, failed=failed, now=time.monotonic())


def begin(name: str) -> Call:
    """A call that nobody chose a provider for: one of several over a kept connection."""
    call = Call(name, next(known.calls))
    with known.lock:
        known.window(name).begin(call.number, now=time.monotonic())
    return call


def choose(gateways: Sequence[Gateway], message: Message, *, at: datetime) -> tuple[Gateway, Call]:
    """The provider for the message's next attempt, and a place on its line, which the caller gives back by ending the
    call. Raises NoProvider, NotNow."""
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
    """The provider refused this recipient for good; several different ones in a row count against it."""
    with known.lock:
        known.window(name).refuse(recipient)


def took(name: str) -> None:
    """The provider took a message: what it refused before was about the recipients."""
    with known.lock:
        known.window(name).take()


def rest(name: str, seconds: float) -> None:
    """The provider asked us to wait: nothing is offered to it by this process until then."""
    with known.lock:
        known.resting[name] = max(known.resting.get(name, 0.0), time.monotonic() + seconds)


def settle(name: str, *, failed: bool, at: datetime) -> None:
    """What a call that has ended means for the provider: back in the row, away for longer, or set aside."""
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
    """Takes a provider out of the row: until its time is up, or, when somebody says so (`by`), until it is restored."""
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
    """Puts a provider back by hand; False when it was not set aside."""
    with transaction.atomic():
        state = ProviderState.objects.select_for_update(no_key=True).filter(name=name).first()
        if state is None or not state.is_open:
            return False
        _put_back(state, at=at, by=by, reason=reason)
        audit(state, "provider.restored", at=at, by=by, reason=reason, address=address)
    _look_again(name)
    return True


def introduce(names: Iterable[str]) -> None:
    """Writes down the providers that are in use, so that staff sees them before anything is wrong."""
    ProviderState.objects.bulk_create([ProviderState(name=name) for name in names], ignore_conflicts=True)


def open_circuits() -> dict[str, ProviderState]:
    """The shared verdicts, by provider; a look is good for FRESH seconds."""
    with known.lock:
        if time.monotonic() - known.looked < FRESH:
            return known.aside
    found = {state.name: state for state in ProviderState.objects.filter(set_aside_at__isnull=False)}
    with known.lock:
        known.aside, known.looked = found, time.monotonic()
    return found


def _in_turn(gateways: Sequence[Gateway], message: Message) -> list[Gateway]:
    """The preferred one first; after a try that failed, the one behind it. Without those that cannot reach the
    recipient, unless none can."""
    names = [gateway.name for gateway in gateways]
    start = names.index(message.provider) + 1 if message.attempts and message.provider in names else 0
    turn = [gateways[(start + each) % len(gateways)] for each in range(len(gateways))]
    return [gateway for gateway in turn if can_reach(gateway, message.recipient)] or turn


def _verdict(name: str) -> str:
    with known.lock:
        return known.window(name).verdict(now=time.monotonic())


def _take_place(name: str) -> Call | None:
    """A place on the provider's line, unless all are taken or it asked us to wait."""
    with known.lock:
        now = time.monotonic()
        window = known.window(name)
        if len(window.in_hand) >= AT_ONCE or known.resting.get(name, 0.0) > now:
            return None
        call = Call(name, next(known.calls))
        window.begin(call.number, now=now)
        return call


def _wait_for(name: str) -> float:
    """Seconds after which asking again makes sense."""
    with known.lock:
        return max(known.resting.get(name, 0.0) - time.monotonic(), FULL)


def _take_probe(state: ProviderState, *, at: datetime) -> bool:
    """Of all workers one tries a provider whose time is up, with one message."""
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
    """A probe failed. Conditional: of several that failed together one counts."""
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
