"""Retention of deliveries: as long as events. A delivery is never older than its event, which goes first or with it."""

from clients.retention import RetentionRule, delete_sql_of, period_of

RULES = (
    RetentionRule(
        "deliveries",
        "SELECT id FROM webhooks_delivery WHERE created_at < %(before)s ORDER BY created_at",
        delete_sql_of("webhooks_delivery"),
        period_of("events"),
    ),
)
