"""Errors of webhooks; the contract of the partners' API has their texts."""

from clients.errors import Refused


class TooManyEndpoints(Refused):
    """The partner has Endpoint.MOST already."""


class UntriedTest(Refused):
    """The last test of this endpoint has not been tried yet."""
