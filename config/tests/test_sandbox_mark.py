"""Mark of a sandbox, which says what leaves in earnest."""

import pytest

from config.backoffice import sandbox_mark

SANDBOX, REAL = ("sandbox://",), ("smpp://u:p@smsc:2775/", "sandbox://")


@pytest.mark.parametrize(
    ("is_sandbox", "gateways", "mark"),
    [
        (False, {"S": REAL, "C": ("smtp://host",)}, ""),
        (True, {"S": SANDBOX, "W": (), "I": SANDBOX, "C": SANDBOX}, "Pruebas: nada sale de verdad"),
        (True, {"S": REAL, "W": SANDBOX, "I": (), "C": ("smtp://host",)}, "Pruebas: salen de verdad SMS, correo"),
    ],
)
def test_the_mark_says_what_leaves_in_earnest(is_sandbox, gateways, mark):
    assert sandbox_mark(is_sandbox, gateways) == mark
