"""Recorder of messages that providers took: those that wait are written together, by one of the threads that wait."""

from collections.abc import Sequence

from messaging.delivery import send
from messaging.group_commit import GroupCommit

PATIENCE = 0.02
"""Seconds that a thread waits for the statement of another one. A record that takes longer is stuck, and must not keep
others from the database: a worker that is killed would leave them UNKNOWN."""


def record(taken: send.Taken) -> None:
    """Record a message that a provider took. Raises what the database raises."""
    _group.add(taken, patience=PATIENCE)


def _record_all(batch: Sequence[send.Taken]) -> None:
    send.with_new_connection_if_broken(lambda: send.record_all_taken(batch))
    for each in batch:
        send.report_result(each.message.provider, each.receipt, at=each.at)


_group = GroupCommit(_record_all)
