"""Retention of counts by time. What a removed row counted stays in the total of its labels (`metrics.sql.ADD`)."""

from datetime import timedelta

from clients.retention import RetentionRule, delete_sql_of

HOURS_FOR = timedelta(days=90)

RULES = (
    RetentionRule(
        "metric_minutes",
        "SELECT id FROM metrics_metricminute WHERE at < %(before)s ORDER BY at",
        delete_sql_of("metrics_metricminute"),
        lambda: HOURS_FOR,
    ),
)
