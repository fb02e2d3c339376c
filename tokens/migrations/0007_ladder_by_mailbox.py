"""The ladder of a mailbox, whatever its spelling: an index over an expression, made while everything runs.

No column and no row is written: processes of the version before do not notice. `lock_timeout` is lifted because
CREATE INDEX CONCURRENTLY waits for the transactions that are running; it keeps nobody waiting meanwhile.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

KEY = r"""
CREATE OR REPLACE FUNCTION tokens_destination_key(destination text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN destination ~ '@(gmail|googlemail)[.]com$'
        THEN replace(regexp_replace(split_part(destination, '@', 1), '^([^+]+)[+].*$', '\1'), '.', '') || '@gmail.com'
        ELSE regexp_replace(destination, '^([^@+]+)[+][^@]*@', '\1@')
    END
$$
"""
"""A telephone has no @ and stays as it is; addresses are kept in small letters."""

NAMES = ("tokens_to_a_mailbox", "forgiven_mailbox")


def _key():
    return models.Func(models.F("destination"), function="tokens_destination_key")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tokens", "0006_forgetting")]

    operations = [
        migrations.RunSQL(KEY, "DROP FUNCTION tokens_destination_key(text)"),
        migrations.RunSQL("SET lock_timeout = 0", migrations.RunSQL.noop),
        # what a migration that was broken off has left
        *[migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop) for name in NAMES],
        AddIndexConcurrently(
            model_name="verificationtoken",
            index=models.Index(
                _key(), models.OrderBy(models.F("created_at"), descending=True), name=NAMES[0],
                condition=models.Q(("via", "C")),
            ),
        ),
        AddIndexConcurrently(
            model_name="ladderforgiveness",
            index=models.Index(_key(), models.F("at"), name=NAMES[1], condition=models.Q(("via", "C"))),
        ),
        migrations.RunSQL("RESET lock_timeout", migrations.RunSQL.noop),
    ]  # fmt: skip
