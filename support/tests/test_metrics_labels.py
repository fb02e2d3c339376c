"""Labels of metrics: no text that somebody wrote freely reaches one."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import Error, models, transaction
from django.utils import timezone

from metrics import sweep
from metrics.models import MetricTotal
from metrics.scrape import scraped
from support.tests.cast import everything

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
MARK = "zqxmark"
FREE = (models.CharField, models.TextField)


def marked(model, field):
    """Mark every text of a column that the database lets one write freely, one row at a time."""
    for row in model._base_manager.all()[:3]:
        text = f"{MARK}{row.pk}"[: field.max_length or 200]
        model._base_manager.filter(pk=row.pk).update(**{field.name: text})


@pytest.mark.usefixtures("no_other_writers")
def test_no_free_text_reaches_a_label():
    """Every text without choices, in every table of people, companies and messages, is marked; only a company's slug
    may be shown."""
    sweep.sweep(at=timezone.now() - HOUR)
    everything("dato", [1])
    written = 0
    for model in apps.get_models():
        if model._meta.app_label not in ("clients", "messaging", "tokens", "webhooks", "external_api", "subscription"):
            continue
        for field in model._meta.concrete_fields:
            is_free = isinstance(field, FREE) and not field.choices and not field.primary_key
            if not is_free or field.name in ("slug", "epoch", "origin"):
                continue
            try:
                with transaction.atomic():
                    marked(model, field)
                written += 1
            except Error:
                continue  # the database lets nobody write it: a constraint, or a trigger of the audit
    assert written > 60, "they are marked"
    for _ in range(3):
        sweep.sweep(at=timezone.now() + HOUR)
    assert MetricTotal.objects.filter(labels__provider="other").exists(), "marked events were counted"
    text = scraped("")[0].decode()
    assert MARK not in text.lower()
    assert MARK not in str(list(MetricTotal.objects.values_list("labels", flat=True)))
    assert "quispe" not in text.lower()
