"""Delivery: sending what is due, failover between providers, sweeper, delivery receipts."""
