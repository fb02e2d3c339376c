"""Thread pool: a provider that hangs delays neither the codes of its claim nor those of another provider."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from messaging.delivery import failover, recorder, sweeper, thread_pool
from messaging.delivery import send as delivery
from messaging.gateways.base import OutcomeUnknown, Receipt
from messaging.models import Message, ProviderState
from messaging.queue import wakeup
from messaging.tests.queued import queue
from messaging.twins import routing

pytestmark = pytest.mark.django_db(transaction=True)


class Answers:
    own_process = False

    def __init__(self, name, seconds=0.05):
        self.name, self.seconds = name, seconds
        self.got = []

    def send(self, message, secret):
        self.got.append((message.id, time.monotonic()))
        time.sleep(self.seconds)
        return Receipt(str(message.id), "ok")


class Silent(Answers):
    """Takes the message and sends no answer until its timeout."""

    def __init__(self, name):
        super().__init__(name)
        self.over = threading.Event()

    def send(self, message, secret):
        self.got.append((message.id, time.monotonic()))
        self.over.wait(10)
        raise OutcomeUnknown("silencio")


@pytest.fixture(autouse=True)
def own_pool(monkeypatch):
    """A thread pool for one test, whose database connections end with it."""
    pool = ThreadPoolExecutor(thread_pool.THREADS)
    monkeypatch.setattr(thread_pool, "_threads", pool)
    monkeypatch.setattr(thread_pool, "_free_slots", threading.BoundedSemaphore(thread_pool.THREADS))
    yield
    closing = threading.Barrier(thread_pool.THREADS)

    def close():
        closing.wait(15)
        connection.close()

    for each in [pool.submit(close) for _ in range(thread_pool.THREADS)]:
        each.result()
    pool.shutdown()


def work_until(done, *, seconds):
    """Run tasks as a worker does, with a sweep every second, until `done()` is true."""
    end, swept = time.monotonic() + seconds, time.monotonic()
    while not done():
        assert time.monotonic() < end, [(m.state, m.provider, m.provider_reply) for m in Message.objects.all()]
        if not thread_pool.deliver_due():
            time.sleep(0.05)
        if time.monotonic() - swept > 1:
            sweeper.sweep(at=timezone.now())
            swept = time.monotonic()


def test_codes_are_sent_in_parallel(monkeypatch):
    provider = Answers("provider", 0.3)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    for _ in range(10):
        queue()
    began = time.monotonic()
    work_until(lambda: Message.objects.filter(state="SENT").count() == 10, seconds=10)
    assert time.monotonic() - began < 1.5, "ten times 0.3 s one after another would be three"


def test_a_task_returns_while_a_call_hangs_and_claims_no_more_than_there_are_free_threads(monkeypatch):
    monkeypatch.setattr(failover, "CALLS_PER_PROVIDER", 100)
    hangs = Silent("hangs")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [hangs])
    for _ in range(30):
        queue()
    claimed = [thread_pool.deliver_due() for _ in range(4)]
    assert claimed == [10, 6, 0, 0]
    assert Message.objects.filter(state="QUEUED").count() == 14, "they wait in the queue, for any worker"
    hangs.over.set()


def test_50_codes_at_once_over_two_vias_one_provider_silent_all_leave_within_15_seconds(monkeypatch):
    silent, spare, well = Silent("callado"), Answers("reserva"), Answers("correo")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [silent, spare] if via == "S" else [well])
    monkeypatch.setattr(wakeup, "wake", lambda queue: False)
    monkeypatch.setattr(wakeup, "wake_another", lambda queue: None)
    for number in range(50):
        queue(via="S" if number % 2 else "C", recipient=f"9{number:08d}")
    began = time.monotonic()
    work_until(lambda: len(silent.got) + len(spare.got) + len(well.got) >= 50, seconds=15)
    assert not Message.objects.filter(attempts=0).exists()
    assert time.monotonic() - began < 8
    assert len(well.got) == 25
    assert max(moment for _, moment in well.got) - began < 2, "the other via never noticed"
    assert len(silent.got) <= failover.CALLS_PER_PROVIDER
    assert len(silent.got) + len(spare.got) == 25, "each was offered once: who was with the silent one is UNKNOWN"
    time.sleep(max(0.0, began + 4 - time.monotonic()))
    queue()
    work_until(lambda: Message.objects.filter(attempts=0).count() == 0, seconds=5)
    assert ProviderState.objects.get(name="callado").is_open, "though none of its calls has ended"
    silent.over.set()
    work_until(lambda: not Message.objects.filter(state__in=["QUEUED", "SENDING"]).exists(), seconds=10)
    states = {state: Message.objects.filter(state=state).count() for state in ("SENT", "UNKNOWN")}
    assert states == {"SENT": 51 - len(silent.got), "UNKNOWN": len(silent.got)}


def test_a_sole_silent_provider_holds_ten_at_most_and_the_rest_wait_without_losing_a_try(monkeypatch):
    silent = Silent("callado")
    monkeypatch.setattr(routing, "gateways_for", lambda via: [silent])
    for _ in range(20):
        queue()
    for _ in range(4):
        thread_pool.deliver_due()
    while len(silent.got) < failover.CALLS_PER_PROVIDER or Message.objects.filter(state="QUEUED").count() < 10:
        time.sleep(0.01)
    assert len(silent.got) == failover.CALLS_PER_PROVIDER
    waiting = Message.objects.filter(state="QUEUED")
    assert waiting.count() == 10
    assert {message.attempts for message in waiting} == {0}
    assert all(message.next_attempt_at < timezone.now() + timedelta(seconds=1) for message in waiting)
    silent.over.set()


def test_finish_waits_for_running_calls(monkeypatch):
    provider = Answers("provider", 0.5)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    deliver = thread_pool._deliver
    monkeypatch.setattr(thread_pool, "_deliver", lambda prepared: (deliver(prepared), connection.close()))
    monkeypatch.setattr(thread_pool, "_threads", ThreadPoolExecutor(2))
    queue()
    thread_pool.deliver_due()
    assert Message.objects.get().state == "SENDING"
    thread_pool.finish()
    assert Message.objects.get().state == "SENT"


def test_messages_that_wait_to_be_recorded_are_recorded_together_each_with_its_own_moment(monkeypatch):
    """While a statement runs, the others wait; the next one takes them all."""
    provider, batches, first = Answers("provider", 0.0), [], threading.Event()
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    record = delivery.record_all_taken

    def slow(batch):
        batches.append(len(batch))
        if not first.is_set():
            first.set()
            time.sleep(0.3)
        record(batch)

    monkeypatch.setattr(delivery, "record_all_taken", slow)
    monkeypatch.setattr(recorder, "PATIENCE", 1.0)
    for _ in range(10):
        queue()
    work_until(lambda: Message.objects.filter(state="SENT").count() == 10, seconds=5)
    assert sum(batches) == 10
    assert len(batches) <= 4
    assert len(set(Message.objects.values_list("sent_at", flat=True))) > 1
    for message in Message.objects.all():
        event = message.events.get(state="SENT")
        assert (event.at, event.provider) == (message.sent_at, "provider")


def test_a_record_that_is_stuck_keeps_no_other_from_the_database(monkeypatch):
    """A worker that is killed then has handed both to PostgreSQL, which completes them without it."""
    provider, begun, go_on = Answers("provider", 0.0), [], threading.Event()
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    record = delivery.record_all_taken

    def stuck(batch):
        begun.extend(batch)
        go_on.wait(10)
        record(batch)

    monkeypatch.setattr(delivery, "record_all_taken", stuck)
    for _ in range(3):
        queue()
    began = time.monotonic()
    work_until(lambda: len(begun) == 3, seconds=5)
    assert time.monotonic() - began < 2
    go_on.set()
    work_until(lambda: Message.objects.filter(state="SENT").count() == 3, seconds=5)


def test_a_record_that_fails_loses_no_other(monkeypatch):
    """A connection that broke is replaced once; what cannot be recorded then is left to the end of its lease."""
    provider, failures = Answers("provider", 0.0), iter([OperationalError("gone"), None, ValueError("a bug")])
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    record = delivery.record_all_taken

    def fails_at_times(batch):
        failure = next(failures, None)
        if failure:
            raise failure
        record(batch)

    monkeypatch.setattr(delivery, "record_all_taken", fails_at_times)
    for state in ("SENT", "SENDING", "SENT"):
        message = queue()
        thread_pool.deliver_due()
        end = time.monotonic() + 5
        while thread_pool._free_slots._value < thread_pool.THREADS:
            assert time.monotonic() < end
            time.sleep(0.01)
        message.refresh_from_db()
        assert message.state == state


def test_a_hand_over_that_fails_frees_its_threads_and_the_slots_of_its_provider(monkeypatch):
    provider = Answers("provider", 0.0)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])

    def away(*args, **more):
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(delivery, "hand_over_together", away)
        for _ in range(3):
            queue()
        assert thread_pool.deliver_due() == 3
    assert thread_pool._free_slots._value == thread_pool.THREADS
    assert not failover.local.window("provider").running
    assert provider.got == []
    assert {message.state for message in Message.objects.all()} == {"SENDING"}, "until their lease ends"
    sweeper.sweep(at=timezone.now() + delivery.LEASE + timedelta(seconds=1))
    Message.objects.update(next_attempt_at=timezone.now())
    work_until(lambda: Message.objects.filter(state="SENT").count() == 3, seconds=5)


def test_a_code_that_comes_while_a_worker_looks_needs_no_wakeup(monkeypatch):
    provider, acknowledged = Answers("provider", 0.0), []
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: acknowledged.append(len(provider.got)))
    monkeypatch.setattr(thread_pool, "QUIET_SECONDS", 0.3)
    queue()
    late = threading.Timer(0.1, lambda: (queue(), connection.close()))
    late.start()
    thread_pool.deliver_and_linger()
    late.join()
    assert acknowledged == [2], "both were sent before the wake-up was acknowledged"


def test_a_code_that_comes_with_the_acknowledgement_is_sent_by_the_last_look(monkeypatch):
    provider = Answers("provider", 0.0)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: queue())
    thread_pool.deliver_and_linger()
    work_until(lambda: Message.objects.filter(state="SENT").count() == 1, seconds=5)


@pytest.mark.parametrize(
    ("found", "pauses"),
    [
        ([0], []),
        ([1, 0], [0.008] * 6),
        ([1, 1, 0], [0.008] * 7),
        ([5, 0], [0.024] + [0.008] * 3),
        ([5, 3, 1, 0], [0.024, 0.024] + [0.008] * 6),
        ([10, 10, 9, 0], [0.008, 0.008, 0.024] + [0.008] * 3),
    ],
)
def test_a_worker_waits_longer_between_two_looks_while_they_find_several(monkeypatch, clock, found, pauses):
    looks = iter(found)
    monkeypatch.setattr(thread_pool, "deliver_due", lambda: next(looks, 0))
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: None)
    monkeypatch.setattr(wakeup, "promise_look", lambda name: 0.0)  # as without Redis
    thread_pool.deliver_and_linger()
    assert clock.slept == pauses


@pytest.fixture
def clock(monkeypatch):
    """The clock of the thread pool, which only its pauses move."""

    def sleep(seconds):
        clock.slept.append(seconds)
        clock.now += seconds

    clock = SimpleNamespace(now=1000.0, slept=[], sleep=sleep, monotonic=lambda: round(clock.now, 6))
    monkeypatch.setattr(thread_pool, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("found", "promises"),
    [([1] * 20, 0), ([2, 0], 1), ([5] * 4, 2), ([10] * 200, 13)],  # the last one: until the worker acknowledges
)
def test_a_worker_looks_again_after_each_of_its_promises(monkeypatch, clock, found, promises):
    looks, looked, promised = iter(found), [], []
    monkeypatch.setattr(thread_pool, "deliver_due", lambda: looked.append(clock.now) or next(looks, 0))
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: None)
    monkeypatch.setattr(wakeup, "promise_look", lambda name: promised.append(clock.now + 0.105) or promised[-1])
    thread_pool.deliver_and_linger()
    assert len(promised) == promises
    assert looked[-1] >= max(promised, default=0)
    assert clock.now - 1000 < wakeup.PENDING_SECONDS


def test_a_code_that_comes_under_a_promise_is_sent_without_a_wakeup(monkeypatch):
    provider, published, promise = Answers("provider", 0.0), [], wakeup.promise_look
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    monkeypatch.setattr(wakeup, "_publish", published.append)

    def late(seconds):
        time.sleep(seconds)
        queue()
        assert wakeup.wake("codes") is False
        connection.close()

    def promised(name):
        until = promise(name)
        wakeup.wake("codes")  # from now on this process knows of it
        wakeup.acknowledge("codes")  # a wake-up that is pending would keep others away, too
        published.clear()
        for seconds in (0.0, 0.03):
            threads.append(threading.Thread(target=late, args=[seconds]))
            threads[-1].start()
        return until

    threads = []
    monkeypatch.setattr(wakeup, "promise_look", promised)
    queue()
    queue()
    thread_pool.deliver_and_linger()
    for each in threads:
        each.join()
    work_until(lambda: not thread_pool._threads._work_queue.qsize(), seconds=5)
    assert len(threads) == 2
    assert len(provider.got) == 4
    assert not published


def test_one_thread_looks_and_a_wakeup_meanwhile_makes_it_look_on(monkeypatch):
    looks, is_looking, may_end = [], threading.Event(), threading.Event()

    def look():
        looks.append(threading.get_ident())
        is_looking.set()
        assert may_end.wait(10)
        return 0

    monkeypatch.setattr(thread_pool, "deliver_due", look)
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: None)
    first = threading.Thread(target=thread_pool.deliver_and_linger)
    first.start()
    assert is_looking.wait(10)
    for _ in range(3):
        thread_pool.deliver_and_linger()  # returns while the first one looks
    assert len(looks) == 1
    may_end.set()
    first.join(10)
    assert not first.is_alive()
    assert looks == [first.ident] * 4, "a look and the last look, and both again for the wake-ups meanwhile"


def test_a_look_that_was_asked_for_connects_anew_after_the_connection_broke_under_the_one_before(monkeypatch):
    looked = []

    def look():
        if not looked:
            looked.append("breaks")
            thread_pool.deliver_and_linger()  # a wake-up meanwhile
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        looked.append("looks")
        return 0

    monkeypatch.setattr(thread_pool, "deliver_due", look)
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: None)
    with pytest.raises(OperationalError):
        thread_pool.deliver_and_linger()
    assert looked == ["breaks", "looks", "looks"]


def test_a_worker_that_always_finds_codes_acknowledges_before_its_wakeup_lapses(monkeypatch):
    monkeypatch.setattr(thread_pool, "deliver_due", lambda: 1)
    monkeypatch.setattr(wakeup, "acknowledge", lambda name: None)
    began = time.monotonic()
    thread_pool.deliver_and_linger()
    assert time.monotonic() - began < wakeup.PENDING_SECONDS


def test_a_connection_that_was_cut_short_by_a_pause_is_opened_again_before_the_call(monkeypatch):
    provider, attempts = Answers("provider", 0.0), []
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])
    connect = thread_pool.connection.ensure_connection

    def cut_short():
        attempts.append(len(provider.got))
        if len(attempts) == 1:
            raise OperationalError("connection timeout expired")
        connect()

    monkeypatch.setattr(thread_pool, "connection", SimpleNamespace(ensure_connection=cut_short))
    queue()
    work_until(lambda: Message.objects.filter(state="SENT").count() == 1, seconds=5)
    assert attempts == [0, 0], "both before the call"


def test_a_code_is_sent_though_its_answer_may_not_be_recorded(monkeypatch):
    provider = Answers("provider", 0.0)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [provider])

    def away():
        raise OperationalError("away")

    monkeypatch.setattr(thread_pool, "connection", SimpleNamespace(ensure_connection=away))
    queue()
    work_until(lambda: len(provider.got) == 1, seconds=5)
    work_until(lambda: Message.objects.filter(state="SENT").count() == 1, seconds=5)
