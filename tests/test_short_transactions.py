"""Writing transactions are short, because the feed of events waits for the oldest one: five seconds a statement, and a
list of what may take longer."""

import re

from django.db import connection

from config.variables import BASE_DIR
from testkit import packages

LIFTED = {
    "clients/apps.py": "migrations, one step each",
    "clients/events/restore.py": "after a restore, when the feed is not read",
    "clients/retention.py": "counts for the dry run, which writes nothing",
    "webhooks/restore.py": "the same",
    "support/restore/after_restore.py": "the same",
    "support/keys/resealing.py": "a command after a change of keys, which an operator runs once: a minute at most",
    "external_api/frontdoor/export_slots.py": "exports, which write nothing: they take no transaction id",
}
"""Files that lift a limit of time, and why the feed does not wait for them."""
APPS = (*packages.APPS, "config")
LIFTS = re.compile(r"SET (?:LOCAL )?(?:statement|idle_in_transaction_session|transaction)_timeout")


def test_no_statement_lifts_the_limit_of_time_but_for_those_that_the_feed_need_not_wait_for():
    found = {
        str(path.relative_to(BASE_DIR))
        for app in APPS
        for path in (BASE_DIR / app).rglob("*.py")
        if "tests" not in path.parts and "migrations" not in path.parts and LIFTS.search(path.read_text())
    }
    assert found == set(LIFTED)


def test_a_connection_has_the_limits():
    options = str(connection.settings_dict["OPTIONS"]["options"])
    assert "statement_timeout=5s" in options
    assert "idle_in_transaction_session_timeout=10s" in options, (
        "a transaction that does nothing holds the feed up, too"
    )
