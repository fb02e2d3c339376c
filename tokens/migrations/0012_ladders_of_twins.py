"""Ladders of test twins: the indexes of the ladders get the twin before the time, so that the codes of a twin do not
lengthen the search for anybody else's. The ones before go.

No row is written, and nobody waits: processes of the version before plan with either. CONCURRENTLY waits for the
transactions that are running, so `lock_timeout` is longer here. Broken off, it can be run again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


def _key():
    return models.Func(models.F("destination"), function="tokens_destination_key")


_NEWEST = models.OrderBy(models.F("created_at"), descending=True)
_BY_MAIL = models.Q(("via", "C"))
_PHONE = (models.F("destination"), models.F("via"), models.F("twin"))
MADE = {
    "verificationtoken": [
        models.Index(*_PHONE, _NEWEST, name="ladder_of_a_destination"),
        models.Index(_key(), models.F("twin"), _NEWEST, name="ladder_of_a_mailbox", condition=_BY_MAIL),
        models.Index(models.F("twin"), name="tokens_of_a_twin", condition=models.Q(("twin__isnull", False))),
    ],
    "ladderforgiveness": [
        models.Index(*_PHONE, models.F("at"), name="forgiven_on_a_destination"),
        models.Index(_key(), models.F("twin"), models.F("at"), name="forgiven_on_a_mailbox", condition=_BY_MAIL),
    ],
}
GONE = {
    "verificationtoken": ("tokens_to_a_destination", "tokens_to_a_mailbox"),
    "ladderforgiveness": ("forgiven_destination", "forgiven_mailbox"),
}


def _drop(name):
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tokens", "0011_twins")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        *[
            operation
            for model, indexes in MADE.items()
            for index in indexes
            for operation in (
                # what a migration that was broken off has left
                migrations.RunSQL(_drop(index.name), migrations.RunSQL.noop),
                AddIndexConcurrently(model_name=model, index=index),
            )
        ],
        *[
            operation
            for model, names in GONE.items()
            for name in names
            for operation in (
                RemoveIndexConcurrently(model_name=model, name=name),
                migrations.RunSQL(migrations.RunSQL.noop, _drop(name)),
            )
        ],
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
