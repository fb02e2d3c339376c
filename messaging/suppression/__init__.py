"""Suppression: mailboxes that get no more mail, and the bounces, complaints and unsubscriptions that lead to it."""
