"""`manage.py alarm_rules`: the alarms as rules for Prometheus."""

from typing import Any

from django.core.management.base import BaseCommand

from metrics.prometheus_rules import text


class Command(BaseCommand):
    help = "Prints the rules of ops/prometheus/aval.rules.yml."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(text(), ending="")
