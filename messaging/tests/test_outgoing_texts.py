"""The code is put into its text only by the gateway."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from messaging.gateways.base import MASK, GatewayError, OutcomeUnknown, Outgoing


def outgoing(**changes):
    values = {
        "id": UUID(int=1),
        "kind": "verificacion",
        "via": "C",
        "recipient": "ana@dominio.com",
        "subject": "Su código",
        "text": f"Su código es {MASK}. Repetimos: {MASK}.",
        "html": f"<b>{MASK}</b>",
        "send_before": datetime(2026, 2, 12, 15, 30, tzinfo=UTC),
    }
    return Outgoing(**{**values, **changes})


def test_every_mask_is_replaced_by_the_code():
    assert outgoing().text_with("A1B2") == "Su código es A1B2. Repetimos: A1B2."
    assert outgoing().html_with("A1B2") == "<b>A1B2</b>"


def test_a_message_without_a_code_goes_as_it_is():
    assert outgoing(text="Boletín ••••").text_with(None) == "Boletín ••••"
    assert outgoing(html="<p>••••</p>").html_with(None) == "<p>••••</p>"


def test_a_secret_cannot_become_markup():
    assert outgoing().html_with("<i>&") == "<b>&lt;i&gt;&amp;</b>"


def test_the_texts_are_not_in_the_repr():
    shown = repr(outgoing(text="Hola, Ana Quispe", html="<p>Ana Quispe</p>"))
    assert "Quispe" not in shown
    assert str(UUID(int=1)) in shown


def test_an_outgoing_message_is_immutable():
    with pytest.raises(AttributeError):
        outgoing().recipient = "otra@dominio.com"


def test_a_refusal_says_whether_it_is_for_good_and_how_long_to_wait():
    refusal = GatewayError("429 despacio", permanent=False, retry_after=30)
    assert (str(refusal), refusal.reply, refusal.permanent, refusal.retry_after) == (
        "429 despacio",
        "429 despacio",
        False,
        30,
    )
    assert GatewayError(permanent=True, reply="550 no").retry_after is None
    assert OutcomeUnknown("sin respuesta").reply == "sin respuesta"
