"""Check of the invariants: accepted requests, our rows and the providers' own journals compared.

A row alone never proves that something was sent. Violations:

- lost: accepted, and has no row, or two; QUEUED or SENDING after the recovery; SENT, and no provider took it; FAILED,
  EXPIRED or CANCELLED where the scenario gives no reason for it;
- twice: taken more than once;
- late: taken after its `send_before`;
- false: ended as not sent, and was taken; taken, and has no row; arrived with a code that is not accepted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from chaos.alarms import Came
from chaos.harness import Accepted, ApiClient, ChaosStack, code_of
from chaos.journal import Arrival, ArrivalLog

TAKEN = frozenset({"SENT", "DELIVERED", "UNDELIVERED"})
SAMPLE = 3
"""Codes that are verified at the end, each of another client."""


class NotInstalled(Exception):
    """A program that a scenario needs is missing on this machine; the text names its package."""


@dataclass
class Counts:
    """Outcomes of the messages of a scenario."""

    accepted: int = 0
    once: int = 0
    lost: int = 0
    twice: int = 0
    late: int = 0
    false: int = 0
    unknown: int = 0
    unknown_taken: int = 0  # of these, taken by a provider
    excused: int = 0  # ended unsent in a state that the scenario allows
    delivered: int = 0
    recovery: float = 0.0  # seconds from the end of the faults until nothing waits or is under way
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)  # violations, one line each
    notes: list[str] = field(default_factory=list)  # other measurements
    alarms: list[Came] = field(default_factory=list)
    skipped: str = ""  # the missing program, if the scenario could not run

    def broken(self, kind: str, text: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.wrong.append(f"{kind}: {text}")

    def expect(self, holds: bool, text: str) -> None:
        """Record a violation of the scenario's own rule."""
        if not holds:
            self.wrong.append(text)

    @property
    def holds(self) -> bool:
        return not self.wrong

    def line(self) -> str:
        if self.skipped:
            return f"NOT TRIED: {self.skipped} is not installed"
        broken = f"lost {self.lost}  twice {self.twice}  late {self.late}  false {self.false}"
        unknown = f"UNKNOWN {self.unknown:3} ({self.unknown_taken:2} taken)"
        took = f"{self.seconds:5.1f} s (recovery {self.recovery:4.1f})"
        text = f"accepted {self.accepted:3}  once {self.once:3}  {broken}  {unknown}  excused {self.excused:2}  {took}"
        return "  ".join((text, *map(_alarm_text, self.alarms), *self.notes))


def _alarm_text(came: Came) -> str:
    over = "" if came.resolved is None else f", over after {came.resolved:.0f} s"
    return f"{came.alarm} after {came.seconds:.0f} s{over}"


@dataclass(frozen=True)
class Row:
    """A message as our table has it."""

    id: str
    state: str
    reference: str
    recipient: str
    masked: str
    send_before: float | None
    is_fallback: bool
    attempts: int
    reply: str


def recover_and_check(
    api: ApiClient, stack: ChaosStack, *, excused: Collection[str] = (), more: Sequence[ArrivalLog] = ()
) -> Counts:
    """End every fault, wait at most a minute until nothing is under way, and check."""
    recovery = stack.recover()
    counts = check(api, stack, excused=excused, more=more)
    counts.recovery = recovery
    return counts


def check(
    api: ApiClient, stack: ChaosStack, *, excused: Collection[str] = (), more: Sequence[ArrivalLog] = ()
) -> Counts:
    """Count the outcomes of all messages since the scenario began.

    `excused`: the states in which messages may end unsent. `more`: journals of other providers.
    """
    rows = _rows(stack, api.since)
    arrivals = _by_message(rows, (each for log in (*stack.arrival_logs, *more) for each in log.arrivals()), api.since)
    counts = Counts(accepted=len(api.accepted))
    _one_row_each(api.accepted, rows, counts)
    tokens = {each.token for each in api.accepted}
    for row in rows.values():  # a request answered with 503 may have a row: it is checked and not counted
        is_counted = row.reference in tokens or not row.reference
        _classify(row, arrivals.pop(row.id, []), excused, counts if is_counted else Counts(wrong=counts.wrong))
    for message, unknown in arrivals.items():
        counts.broken("false", f"{message} was taken by {unknown[0].source} and has no row")
    _verify_sample(api, stack, rows, counts)
    return counts


def _rows(stack: ChaosStack, since: float) -> dict[str, Row]:
    found = stack.sql(
        "SELECT id, state, coalesce(reference::text, ''), recipient, text, extract(epoch FROM send_before)::float8,"
        " fallback_for_id IS NOT NULL, attempts, provider_reply FROM messaging_message"
        " WHERE created_at >= to_timestamp(%s) ORDER BY created_at",
        since,
    )
    return {str(each[0]): Row(str(each[0]), *each[1:]) for each in found}


def _by_message(rows: dict[str, Row], arrivals: Iterable[Arrival], since: float) -> dict[str, list[Arrival]]:
    """Arrivals by our id; where a provider does not know it, by the newest row for that recipient."""
    newest = {row.recipient: row.id for row in rows.values()}
    found = defaultdict(list)
    for each in arrivals:
        if each.message in rows or each.at >= since:
            found[each.message or newest.get(each.to, each.to)].append(each)
    return found


def _one_row_each(accepted: Sequence[Accepted], rows: dict[str, Row], counts: Counts) -> None:
    made = Counter(row.reference for row in rows.values() if not row.is_fallback)
    for each in accepted:
        if made[each.token] != 1:
            counts.broken("lost", f"accepted {each.token}, which has {made[each.token]} rows")


def _classify(row: Row, taken: Sequence[Arrival], excused: Collection[str], counts: Counts) -> None:
    summary = f"{row.id} {row.state} after {row.attempts} attempts ({row.reply}), taken {len(taken)} times"
    if len(taken) > 1:
        counts.broken("twice", f"{summary}, by {[(each.source, each.at) for each in taken]}")
    if row.send_before is not None and any(each.at > row.send_before for each in taken):
        counts.broken("late", f"{summary}, {max(each.at for each in taken) - row.send_before:.1f} s after its time")
    if row.state == "UNKNOWN":
        counts.unknown += 1
        counts.unknown_taken += bool(taken)
    elif row.state in TAKEN:
        counts.delivered += row.state == "DELIVERED"
        counts.once += len(taken) == 1
        if not taken:
            counts.broken("lost", summary)
    elif row.state in ("QUEUED", "SENDING") or row.state not in excused:
        counts.broken("lost", summary)
    else:
        counts.excused += 1
        if taken:
            counts.broken("false", summary)


def _verify_sample(api: ApiClient, stack: ChaosStack, rows: dict[str, Row], counts: Counts) -> None:
    """Verify a sample of the codes that arrived: the newest ones, which expire last."""
    sent = {row.reference: row for row in rows.values() if row.state in TAKEN and not row.is_fallback}
    arrived = {each.message: each for log in stack.arrival_logs for each in log.arrivals()}
    sample = [each for each in reversed(api.accepted) if each.token in sent and sent[each.token].id in arrived]
    for each in sample[:SAMPLE]:
        row = sent[each.token]
        answer = stack.verify(each.client, code_of(arrived[row.id], row.masked))
        if answer.status_code != 200 and answer.json().get("code") != "ERR_TOKEN_EXPIRED":
            counts.broken("false", f"the code of {row.id} is not accepted: {answer.text}")
