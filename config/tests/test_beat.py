"""What the schedule of the sweeps must be, for what it makes good."""

from config.celeryconfig import beat_schedule
from messaging import doorbell


def test_the_sweep_after_a_lost_ring_rings_anew():
    assert beat_schedule["messaging.sweep"]["schedule"] > doorbell.WAITING_FOR


def test_sweeps_that_pile_up_are_one():
    periods = {name: each for name, each in beat_schedule.items() if isinstance(each["schedule"], float)}
    assert {"messaging.sweep", "tokens.sweep", "messaging.run_campaigns"} <= periods.keys()
    assert all(each["options"]["expires"] == each["schedule"] for each in periods.values())
