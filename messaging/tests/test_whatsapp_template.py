"""The template for codes: created with a time to live below a code's lifetime, refused when it is longer."""

import pytest
from django.core.management import CommandError, call_command

from messaging.tests.http_provider import provider

TOKEN = "EAAJ-secreto"


@pytest.fixture
def api(settings):
    with provider() as made:
        url = f"whatsapp-cloud://{TOKEN}@/1055?template=codigo&api={made.url}"
        settings.AVAL_GATEWAYS = {"S": (), "W": (url,), "I": (), "C": ()}
        yield made


def listed(**changes):
    found = {"name": "codigo", "language": "es", "status": "APPROVED", "message_send_ttl_seconds": 120}
    return {"data": [{"name": "codigo", "language": "en", "status": "APPROVED"}, {**found, **changes}]}


def test_the_template_is_created_with_a_time_to_live_of_two_minutes(api, capsys):
    api.say(200, {"id": "1", "status": "PENDING", "category": "AUTHENTICATION"})
    call_command("whatsapp_template", "2244")
    assert "its status is PENDING" in capsys.readouterr().out
    [sent] = api.requests
    assert sent.path == "/v24.0/2244/message_templates"
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    assert sent.json == {
        "name": "codigo",
        "language": "es",
        "category": "AUTHENTICATION",
        "message_send_ttl_seconds": 120,
        "components": [
            {"type": "BODY", "add_security_recommendation": True},
            {"type": "FOOTER", "code_expiration_minutes": 2},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
        ],
    }


def test_check_says_that_it_is_fit(api, capsys):
    api.say(200, listed())
    call_command("whatsapp_template", "2244", "--check")
    assert capsys.readouterr().out == "codigo (es) is approved; its messages live 120 s.\n"
    assert api.requests[0].path.startswith("/v24.0/2244/message_templates?name=codigo&")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (listed(message_send_ttl_seconds=600), "live 600 s, longer than a code"),
        (listed(message_send_ttl_seconds=None), "live 30 days, longer"),
        (listed(message_send_ttl_seconds=-1), "longer than a code"),
        (listed(status="PAUSED"), "is PAUSED"),
        ({"data": []}, "has no template"),
        ("no es json", "cannot be read"),
    ],
)
def test_check_fails_for_what_is_not(api, answer, text):
    api.say(200, answer)
    with pytest.raises(CommandError, match=text):
        call_command("whatsapp_template", "2244", "--check")


def test_a_refusal_by_meta_is_shown_without_the_token(api):
    api.say(400, {"error": {"code": 100, "message": f"bad {TOKEN}", "error_user_msg": f"Nombre en uso {TOKEN}"}})
    with pytest.raises(CommandError) as fault:
        call_command("whatsapp_template", "2244")
    assert "Nombre en uso" in str(fault.value)
    assert TOKEN not in str(fault.value)


def test_without_a_gateway_of_meta_there_is_nothing_to_do(settings):
    settings.AVAL_GATEWAYS = {"S": (), "W": ("sandbox://",), "I": (), "C": ()}
    with pytest.raises(CommandError, match="WHATSAPP_URL"):
        call_command("whatsapp_template", "2244")
    with pytest.raises(CommandError, match="number"):
        call_command("whatsapp_template", "22/44")
