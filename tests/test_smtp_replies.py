"""Replies of an SMTP server: a bulletin with another reply for each recipient, and the states that partners read."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

from aiosmtpd.controller import Controller

from config.run.processes import wait_until
from messaging.tests.smtp_servers import free_port
from testkit.stack import PartnerKeys, Stack

ACCEPTED = "250 Ok"
NO_REPLY = "silence"
CUT = "cut"
GATEWAY_TIMEOUT = 10
"""Seconds that messaging.gateways.smtp waits for an answer."""

FIRST = {
    "taken": ACCEPTED,
    "closing": "421 4.3.2 The system is going down",
    "greylisted": "451 4.7.1 Greylisted, come back later",
    "nobody": "550 5.1.1 No such user here",
    "silent": NO_REPLY,
    "cut": CUT,
}
"""Reply to the first mail for each recipient: to RCPT, except `cut`, which comes after the mail."""
REFUSED_FOR_NOW = {"closing", "greylisted", "silent"}


class ReplyOnce:
    """aiosmtpd handler: FIRST for the first mail to each mailbox, and 250 for all others."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.received: Counter[str] = Counter()

    async def handle_RCPT(self, server, session, envelope, address, options):
        who = _recipient(address)
        self.asked[who] += 1
        answer = FIRST[who] if self.asked[who] == 1 else ACCEPTED
        if answer == NO_REPLY:
            await asyncio.sleep(3 * GATEWAY_TIMEOUT)  # cancelled when the client hangs up
        envelope.rcpt_tos.append(address)
        return ACCEPTED if answer == CUT else answer

    async def handle_DATA(self, server, session, envelope):
        (address,) = envelope.rcpt_tos
        self.received[_recipient(address)] += 1
        if FIRST[_recipient(address)] == CUT:
            server.transport.abort()
            await asyncio.sleep(3 * GATEWAY_TIMEOUT)
        return "250 2.0.0 Ok: queued as 4XyZ12abc"


def test_a_partner_is_told_of_each_mail_what_the_server_said_of_it(stack: Stack) -> None:
    partner = stack.new_partner("Servidor de Correo")
    rows = [{"correo": _address(who), "codigo_externo": who, "perfil": "VIP"} for who in FIRST]
    assert stack.call_nopasanada(partner, "alta", clientes=rows)["cuenta_exitos"] == len(FIRST)
    stack.sql("UPDATE clients_authorizedclient SET subscribed_at = now() WHERE partner_id = %s", partner.id)
    try:
        with _moody_server(stack) as server:
            campaign = stack.bulletin(partner)
            assert wait_until(lambda: _in_hand(stack, campaign) == 0, 20 + GATEWAY_TIMEOUT)
            assert _rows(stack, campaign) == {
                "taken": ("SENT", 1),
                "nobody": ("FAILED", 1),
                "cut": ("UNKNOWN", 1),
                **dict.fromkeys(REFUSED_FOR_NOW, ("QUEUED", 1)),
            }
            assert _states_for_partner(stack, partner) == {"taken": "ok", "nobody": "error"}

            _a_minute_later(stack, campaign)
            assert wait_until(lambda: _in_hand(stack, campaign) == 0, 20)
        assert _rows(stack, campaign) == {
            "taken": ("SENT", 1),
            "nobody": ("FAILED", 1),
            "cut": ("UNKNOWN", 1),
            **dict.fromkeys(REFUSED_FOR_NOW, ("SENT", 2)),
        }
        assert _states_for_partner(stack, partner) == {
            "taken": "ok",
            "nobody": "error",
            **dict.fromkeys(REFUSED_FOR_NOW, "ok"),
        }
        assert server.asked == {who: 1 + (who in REFUSED_FOR_NOW) for who in FIRST}
        assert server.received == {"taken": 1, "cut": 1, **dict.fromkeys(REFUSED_FOR_NOW, 1)}, "nobody twice"
    finally:
        stack.call_nopasanada(partner, "baja", clientes=[{"correo": row["correo"]} for row in rows])


@contextlib.contextmanager
def _moody_server(stack: Stack) -> Iterator[ReplyOnce]:
    """Run the server for the stack's bulletins."""
    mood, port = ReplyOnce(), free_port()
    controller = Controller(mood, hostname="127.0.0.1", port=port, server_hostname="mx.example.com")
    controller.start()
    bulk = stack.program("bulk", "bulk-to-a-moody-server", EMAIL_URL=f"smtp://127.0.0.1:{port}")
    bulk.start()
    try:
        yield mood
    finally:
        bulk.kill()
        controller.stop()


def _address(who: str) -> str:
    return f"{who}@moody.example.com"


def _recipient(address: str) -> str:
    return address.partition("@")[0]


def _states_for_partner(stack: Stack, partner: PartnerKeys) -> dict[str, str]:
    """Answer of `mensajes_enviados` by client."""
    listed = stack.call_nopasanada(partner, "mensajes_enviados")
    told = {_recipient(each["direccion_correo"]): each["respuesta_mensaje"] for each in listed["data"]}
    assert listed["cuenta"] == len(listed["data"]) == len(told)
    assert {each["tipo_mensaje"] for each in listed["data"]} == {"boletin"}
    return told


def _rows(stack: Stack, campaign: int) -> dict[str, tuple[str, int]]:
    """State and attempts of the message for each recipient."""
    rows = stack.sql("SELECT recipient, state, attempts FROM messaging_message WHERE campaign_id = %s", campaign)
    return {_recipient(recipient): (state, attempts) for recipient, state, attempts in rows}


def _in_hand(stack: Stack, campaign: int) -> int:
    """Number of messages without an answer since they were made or came due; all before they are made."""
    ((made, in_hand),) = stack.sql(
        "SELECT count(*), count(*) FILTER (WHERE state = 'SENDING' OR state = 'QUEUED' AND next_attempt_at <= now())"
        " FROM messaging_message WHERE campaign_id = %s",
        campaign,
    )
    return int(in_hand if made == len(FIRST) else len(FIRST))


def _a_minute_later(stack: Stack, campaign: int) -> None:
    """Make the waiting mails due now."""
    due = "SELECT min(next_attempt_at) - now() FROM messaging_message WHERE campaign_id = %s AND state = 'QUEUED'"
    ((wait,),) = stack.sql(due, campaign)
    assert 30 < wait.total_seconds() < 70, "a bulletin is tried again after a minute"
    stack.sql(
        "UPDATE messaging_message SET next_attempt_at = now() WHERE campaign_id = %s AND state = 'QUEUED'", campaign
    )
