"""One connection for many messages, until the first failure."""

import time

import pytest

from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.tests.smtp_servers import CODE, cut, gateway_to, outgoing, real_server, scripted_server


@pytest.fixture(autouse=True)
def our_address(settings):
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"


def test_many_mails_over_one_connection():
    with real_server() as mailbox:
        with gateway_to(mailbox.port).session() as session:
            for each in range(20):
                session.send(outgoing(recipient=f"ana{each}@dominio.com"), CODE)
        assert [mail.rcpt_tos[0] for mail in mailbox.mails] == [f"ana{each}@dominio.com" for each in range(20)]
        assert len(set(mailbox.peers)) == 1


def test_each_mail_has_its_own_time_whatever_those_before_it_took():
    with real_server() as mailbox, gateway_to(mailbox.port, step_timeout=1, total_timeout=0.5).session() as session:
        for _ in range(4):
            session.send(outgoing(), CODE)
            time.sleep(0.2)
        assert len(mailbox.mails) == 4


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"rcpt": "550 no such user"}, GatewayError),
        ({"mail": "421 going away"}, GatewayError),
        ({"body": cut}, OutcomeUnknown),
        ({"data": "451 later"}, GatewayError),
    ],
)
def test_after_a_failure_the_next_mail_has_a_connection_of_its_own(answers, error):
    with scripted_server(**answers) as script:
        with gateway_to(script.port).session() as session:
            for _ in range(3):
                with pytest.raises(error):
                    session.send(outgoing(), CODE)
        assert script.connections == 3


def test_a_session_that_sent_nothing_opened_nothing():
    with scripted_server() as script:
        with gateway_to(script.port).session():
            pass
        assert script.connections == 0
