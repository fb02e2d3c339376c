"""Short scenarios of `make chaos` that tests/test_faults.py lacks, over fake HTTP and SMTP providers.

The providers' own journals are the truth; our rows are compared with them (chaos/checker.py).
"""

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import behaviours, code_leaks, crash_points, kills
from chaos.alarms import PROVIDER, Expected, judge
from chaos.checker import Counts, check
from chaos.harness import Accepted, ChaosStack, running_stack
from chaos.journal import Arrival
from chaos.proxy import Proxy
from config.variables import BASE_DIR

SEED = 20260212


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    with running_stack(folder.with_name(folder.name + "-chaos")) as stack:
        yield stack


@pytest.fixture
def rng() -> random.Random:
    return random.Random(SEED)


def _holds(counts: Counts) -> None:
    assert counts.wrong == [], counts.line()
    assert counts.accepted > 0


def test_a_worker_told_to_end_waits_for_its_providers_and_leaves_nothing_unclear(stack, rng):
    _holds(kills.sigterm(stack, rng, messages=12, slowest=3))


def test_a_worker_that_slept_between_hand_over_and_call_sends_no_dead_code(stack, rng):
    counts = kills.woken_after_expiry(stack, rng, messages=4)
    _holds(counts)
    assert counts.excused > 0, "they expired"


@pytest.mark.parametrize("point", ["handed over, nobody calls", "recorded, nobody listens"])
def test_a_worker_dies_at_a_step_of_a_send(stack, rng, point, monkeypatch):
    """Two deaths at each point. The leases of hand-overs lapse at once, not after 30 seconds."""
    recover = stack.recover
    monkeypatch.setattr(stack, "recover", lambda: (_lapse(stack), recover())[1])
    counts = crash_points.crash_point(stack, rng, name=point, rounds=2)
    _holds(counts)
    assert counts.once + counts.unknown == counts.accepted


def test_codes_go_by_the_second_provider_while_the_first_refuses_which_raises_its_alarm_and_comes_back(stack, rng):
    counts = behaviours.failover(stack, rng, messages=12)
    _holds(counts)
    came, faults = judge(stack.alarms, Expected(PROVIDER), stack.sql, stack.use_providers_again)
    assert faults == []
    assert [each.alarm for each in came] == [PROVIDER]


def test_receipts_that_come_early_twice_or_out_of_order_end_in_delivered(stack, rng):
    _holds(behaviours.receipts(stack, rng, messages=12))


def test_no_code_and_no_key_is_found_after_all_that(stack, rng):
    _holds(code_leaks.search_for_leaks(stack, rng, codes=200))


# --- the checker and the proxy ---


def test_the_checker_finds_each_violation(stack):
    api = stack.ready()
    for _ in range(4):
        assert api.ask()
    stack.recover()
    arrivals = {each.to: each for each in stack.providers["one"].journal.arrivals()}
    again, late, unsent, gone = (arrivals[each.to] for each in api.accepted)
    stack.sql("UPDATE messaging_message SET send_before = now() - '1 min'::interval WHERE id = %s", late.message)
    stack.sql("UPDATE messaging_message SET state = 'EXPIRED' WHERE id = %s", unsent.message)
    stack.sql("DELETE FROM messaging_messageevent WHERE message_id = %s", gone.message)
    stack.sql("DELETE FROM messaging_message WHERE id = %s", gone.message)
    api.accepted.append(Accepted("0198c0de-0000-4000-8000-000000000001", "", "", "S"))

    class Smsc:
        """Another provider: it does not know our ids."""

        def arrivals(self):
            return [Arrival(time.time(), "", again.to, again.text, "smsc")]

    counts = check(api, stack, excused={"EXPIRED"}, more=[Smsc()])
    assert (counts.twice, counts.late) == (1, 1)
    assert counts.lost == 2, "one row was deleted, one was never there"
    assert counts.false == 2, "EXPIRED and taken; taken, without a row"
    assert check(api, stack).lost == 3, "and nobody said that anything may expire"


def test_a_half_open_proxy_accepts_data_and_delivers_nothing_until_it_is_cut():
    with socket.create_server(("127.0.0.1", 0)) as far:
        proxy = Proxy(far.getsockname())
        with socket.create_connection(("127.0.0.1", proxy.port)) as near:
            there, _ = far.accept()
            there.settimeout(0.3)
            near.sendall(b"uno")
            assert there.recv(10) == b"uno"
            proxy.freeze()
            near.sendall(b"dos")
            with pytest.raises(TimeoutError):
                there.recv(10)
            proxy.heal()
            assert there.recv(10) == b"", "what was under way is gone"
            there.close()
            assert near.recv(10) == b""
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))
        proxy.close()


def _lapse(stack: ChaosStack) -> None:
    stack.sql("UPDATE messaging_message SET lease_until = now() WHERE state = 'SENDING' AND handed_over_at IS NOT NULL")
