"""Webhooks for delivery receipts: reports of providers on messages they took. Only signed reports count."""
