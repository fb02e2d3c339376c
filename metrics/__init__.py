"""Metrics for operators: what is counted, the scrape, service levels by day, and alarms."""
