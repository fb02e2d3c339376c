"""UUIDv7 (RFC 9562): where its time, version and random bits are."""

from functools import reduce
from operator import and_, or_
from uuid import RFC_4122, UUID

from clients import uuid7 as module
from clients.uuid7 import uuid7

EXAMPLE = UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
"""The example of the RFC (A.6)."""


def test_the_rfcs_example_is_made_of_its_time_and_its_random_bits(monkeypatch):
    monkeypatch.setattr(module, "time_ns", lambda: 0x17F22E279B0 * 1_000_000 + 999_999)
    monkeypatch.setattr(module, "randbits", lambda bits: 0xCC3_18C4DC0C0C07398F | 0xF000_C000_0000_0000_0000)
    assert uuid7() == EXAMPLE


def test_version_and_variant_are_those_of_the_rfc():
    made = [uuid7() for _ in range(1_000)]
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}


def test_74_bits_are_random_and_no_other(monkeypatch):
    monkeypatch.setattr(module, "time_ns", lambda: 0)
    made = [uuid7().int for _ in range(1_000)]
    assert len(set(made)) == len(made)
    changing = reduce(or_, made) & ~reduce(and_, made)
    assert changing.bit_count() == 74
    assert changing == 0x0FFF_3FFF_FFFF_FFFF_FFFF


def test_the_randomness_comes_from_the_operating_system():
    assert module.randbits.__self__.__class__.__name__ == "SystemRandom"


def test_a_later_millisecond_sorts_behind_in_python_and_in_text(monkeypatch):
    moments = [1, 2, 0xFF, 0x100, 1_760_000_000_000, 1_760_000_000_001, (1 << 48) - 1]
    made = []
    for moment in moments:
        monkeypatch.setattr(module, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(uuid7())
    assert sorted(made) == made
    assert sorted(made, key=str) == made
