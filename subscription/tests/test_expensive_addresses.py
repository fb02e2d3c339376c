"""What the address that a visitor types may cost."""

import time

import pytest

from clients.identity.emails import InvalidEmail
from subscription.asking import canonical_typed


def test_an_address_of_marks_without_end_is_refused_at_once():
    """Composing sorts them in quadratic time, a quarter of an hour for a megabyte, and anybody can send it."""
    began = time.process_time()
    with pytest.raises(InvalidEmail):
        canonical_typed("a" + "\u0301\u0316\u0323\u0328" * 250_000 + "@b.pe")
    assert time.process_time() - began < 3
