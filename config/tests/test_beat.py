"""Schedule of the sweeps, and beat's reconnection to its broker."""

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


class BrokerConnection:
    """A connection to a broker that records whether it was closed."""

    collected = False

    def collect(self):
        self.collected = True

    release = collect


def test_beat_takes_a_new_connection_after_a_publish_that_failed(monkeypatch, tmp_path):
    """With RabbitMQ, Celery's producer stays dead after a restart of the broker."""
    connections = [BrokerConnection(), BrokerConnection()]
    monkeypatch.setattr(app, "connection_for_write", iter(connections).__next__)
    monkeypatch.setattr(Scheduler, "_ensure_connected", lambda self: self.connection)
    producers = {"Producer": lambda connection, auto_declare: connection}
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"), **producers)
    sent = []

    def send_task(*args, producer, **kwargs):
        if producer is connections[0]:
            raise ConnectionResetError
        sent.append(producer)

    monkeypatch.setattr(scheduler, "send_task", send_task)
    entry = scheduler.Entry(name="x", task="a.task.of.nobody", schedule=2.0, app=app)
    with pytest.raises(SchedulingError):
        scheduler.apply_async(entry, producer=scheduler.producer)
    assert connections[0].collected
    scheduler.apply_async(entry, producer=scheduler.producer)
    assert sent == [connections[1]]
    assert not connections[1].collected
    scheduler.close()


def test_beat_runs_with_it_and_no_worker_has_a_queue_of_its_own():
    """Such a queue belongs to one process of a name: two workers on one host would lock each other out."""
    assert app.conf.beat_scheduler == "config.beat:Scheduler"
    assert app.conf.worker_enable_remote_control is False
