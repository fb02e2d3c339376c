"""Errors of the webhooks."""


class NotSigned(Exception):
    """The report is not signed by one of our providers."""


class NotReadable(Exception):
    """The report is signed, but malformed."""
