"""Autovacuum by the rows that change, not by a share of the table: at a million messages the defaults look again after
100,000 changes, and until then PostgreSQL plans with statistics from before a campaign, over indexes full of dead rows.

No row is written. SHARE UPDATE EXCLUSIVE waits for nothing but maintenance of the same table.
"""

from django.db import migrations

TABLE = "messaging_message"
OPTIONS = {
    "autovacuum_analyze_scale_factor": "0",
    "autovacuum_analyze_threshold": "10000",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "5000",
}
SET = ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())


class Migration(migrations.Migration):
    dependencies = [("messaging", "0010_receipts_name_numbers")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(f"ALTER TABLE {TABLE} SET ({SET})", f"ALTER TABLE {TABLE} RESET ({', '.join(OPTIONS)})"),
    ]
