"""A new code: 20 random bits, five for each character (docs/adr/0094-a-code-is-four-uniform-draws-of-thirty-two.md)."""

import itertools
import secrets

from tokens import codes


def test_each_character_has_five_bits_of_its_own(monkeypatch):
    asked = []
    places = (0, 1, 16, 30, 31)
    for chosen in itertools.product(places, repeat=codes.LENGTH):
        bits = sum(place << 5 * nth for nth, place in enumerate(chosen))

        def draw(size, bits=bits):
            asked.append(size)
            return bits

        monkeypatch.setattr(secrets, "randbits", draw)
        assert codes.generate() == "".join(codes.ALPHABET[place] for place in chosen)
    assert set(asked) == {20}


def test_codes_are_drawn_and_well_formed():
    found = {codes.generate() for _ in range(2_000)}
    assert len(found) > 1_950
    assert all(codes.normalise(code) == code for code in found)
    assert set("".join(found)) == set(codes.ALPHABET)
