"""Fixtures of the tests of messages."""

import pytest

from messaging.tests.smtp_servers import real_server


@pytest.fixture
def smtp(settings):
    """Mailbox of a real SMTP server, by which mails leave."""
    settings.DEFAULT_FROM_EMAIL = "Aval <no-responder@aval.pe>"
    settings.PUBLIC_URL = "https://aval.pe"
    with real_server() as mailbox:
        settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": (f"smtp://127.0.0.1:{mailbox.port}",)}
        yield mailbox
