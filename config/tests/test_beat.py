"""What the schedule of the sweeps must be, for what it makes good."""

import pytest
from celery.beat import SchedulingError

from config.beat import Scheduler
from config.celery import app
from config.celeryconfig import beat_schedule
from messaging.queue import wakeup


def test_the_sweep_after_a_lost_ring_rings_anew():
    assert beat_schedule["messaging.sweep"]["schedule"] > wakeup.PENDING_SECONDS


def test_sweeps_that_pile_up_are_one():
    periods = {name: each for name, each in beat_schedule.items() if isinstance(each["schedule"], float)}
    assert {"messaging.sweep", "tokens.sweep", "messaging.run_campaigns"} <= periods.keys()
    assert all(each["options"]["expires"] == each["schedule"] for each in periods.values())


class Line:
    """A connection to a broker that can be left."""

    left = False

    def collect(self):
        self.left = True

    release = collect


def test_beat_takes_a_new_connection_after_a_publish_that_failed(monkeypatch, tmp_path):
    """With RabbitMQ the producer that Celery keeps is dead for ever after a restart of the broker."""
    lines = [Line(), Line()]
    monkeypatch.setattr(app, "connection_for_write", iter(lines).__next__)
    monkeypatch.setattr(Scheduler, "_ensure_connected", lambda self: self.connection)
    producers = {"Producer": lambda line, auto_declare: line}
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"), **producers)
    sent = []

    def send_task(*args, producer, **kwargs):
        if producer is lines[0]:
            raise ConnectionResetError
        sent.append(producer)

    monkeypatch.setattr(scheduler, "send_task", send_task)
    entry = scheduler.Entry(name="x", task="a.task.of.nobody", schedule=2.0, app=app)
    with pytest.raises(SchedulingError):
        scheduler.apply_async(entry, producer=scheduler.producer)
    assert lines[0].left
    scheduler.apply_async(entry, producer=scheduler.producer)
    assert sent == [lines[1]]
    assert not lines[1].left
    scheduler.close()


def test_beat_runs_with_it_and_no_worker_has_a_queue_of_its_own():
    """Such a queue belongs to one process of a name: two workers on one host would lock each other out."""
    assert app.conf.beat_scheduler == "config.beat:Scheduler"
    assert app.conf.worker_enable_remote_control is False
