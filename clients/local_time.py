"""Lima's time zone: the start of a day, and dates as staff reads them."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

LIMA = ZoneInfo("America/Lima")


def midnight(day: date) -> datetime:
    """Start of a day in Lima."""
    return datetime.combine(day, time(), LIMA)


def midnight_before(at: datetime) -> datetime:
    """Start of the day in Lima that `at` is in."""
    return midnight(at.astimezone(LIMA).date())


def display(moment: datetime) -> str:
    """Date and time for staff: day first, in Lima's time zone, to the second."""
    return moment.astimezone(LIMA).strftime("%d/%m/%Y %H:%M:%S")
