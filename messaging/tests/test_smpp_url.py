"""`smpp://...`: the gateway, the errors, and that nothing shows the password."""

import pytest

from messaging.gateways import BadGatewayUrl, gateway_from_url
from messaging.gateways.base import GatewayError
from messaging.smpp import pdus, process

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smpp://u:hunter2@smsc.example.com/?sender=AVAL", "smpp:smsc.example.com:2775"),
        ("smpp://u:hunter2@smsc.example.com:9000/?sender=AVAL", "smpp:smsc.example.com:9000"),
        ("smpp://u:hunter2@[::1]:2775?sender=4040", "smpp:[::1]:2775"),
    ],
)
def test_a_url_becomes_a_gateway_with_a_process_of_its_own_named_without_its_credentials(url, name):
    gateway = gateway_from_url(url, "S")
    assert (gateway.name, gateway.own_process) == (name, True)
    assert SECRET not in repr(gateway) + repr(vars(gateway)) + repr(gateway.account)


def test_what_is_not_said_has_its_default():
    account = gateway_from_url("smpp://u:hunter2@smsc/?sender=AVAL", "S").account
    assert (account.window, account.per_second, account.bind, account.system_type, account.tls) == (
        10,
        0,
        "transceiver",
        "",
        None,
    )


def test_what_is_said_holds():
    options = "sender=AVAL&window=3&per_second=20&bind=transmitter&system_type=SMS&tls=true"
    account = gateway_from_url(f"smpp://u%40pe:a%2Fb%3Fc@smsc/?{options}", "S").account
    assert (account.system_id, account.password) == ("u@pe", "a/b?c")
    assert (account.window, account.per_second, account.bind, account.system_type) == (3, 20, "transmitter", "SMS")
    assert account.tls.check_hostname


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("smpp://u:hunter2@smsc/", "needs the option sender"),
        ("smpp://u:hunter2@smsc/?sender=", "needs the option sender"),
        ("smpp://u:hunter2@smsc/?sender=+51987654321", "needs the option sender"),
        ("smpp://u:hunter2@smsc/?sender=NombreMuyLargo", "needs the option sender"),
        ("smpp://u:hunter2@smsc/?sender=Ñandú", "needs the option sender"),
        ("smpp:///?sender=AVAL", "needs a host"),
        ("smpp://smsc/?sender=AVAL", "needs a user"),
        ("smpp://u@smsc/?sender=AVAL", "needs a user"),
        ("smpp://u:hunter2@smsc/x?sender=AVAL", "has a path"),
        ("smpp://u:hunter2-too-long@smsc/?sender=AVAL", "8 of password"),
        ("smpp://u:hunter2-9@smsc/?sender=AVAL", "8 of password; for a longer one, up to 15, say long_password=true"),
        ("smpp://u:hunter2-9@smsc/?sender=AVAL&long_password=false", "8 of password"),
        ("smpp://u:hunter2-sixteen-@smsc/?sender=AVAL&long_password=true", "15 of password"),
        ("smpp://u:hunter2-ñ@smsc/?sender=AVAL&long_password=true", "15 of password"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&long_password=yes", "long_password must be true or false"),
        ("smpp://u-with-16-letters:hunter2@smsc/?sender=AVAL", "15 ASCII characters of user"),
        ("smpp://ü:hunter2@smsc/?sender=AVAL", "15 ASCII characters of user"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&window=0", "window must be a number from 1 to 100"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&window=x", "window must be a number"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&per_second=0", "per_second must be a number from 1 to 1000"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&source_ton=7", "source_ton must be a number from 0 to 6"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&bind=receiver", "transceiver or transmitter"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&system_type=MuchTooLongType", "12 ASCII"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&tls=yes", "true or false"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&ca=/x.pem", "only with tls=true"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&tls=true&ca=/there/is/none", "readable file"),
        ("smpp://u:hunter2@smsc/?sender=AVAL&verify=false", "its query may have"),
    ],
)
def test_what_is_refused_says_why_and_quotes_nothing(url, problem):
    with pytest.raises(BadGatewayUrl) as refusal:
        gateway_from_url(url, "S")
    assert problem in str(refusal.value)
    assert "SMS_URL (smpp://...)" in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("length", range(1, 16))
def test_a_password_of_up_to_15_characters_leaves_whole_where_that_is_said(length):
    password = "hunter2-hunter2"[:length]
    option = "&long_password=true" if length > 8 else ""
    account = gateway_from_url(f"smpp://u:{password}@smsc/?sender=AVAL{option}", "S").account
    octets = pdus.bind(account, 1)
    assert octets[16:].split(b"\0")[:2] == [b"u", password.encode()]
    assert int.from_bytes(octets[:4]) == len(octets)


@pytest.mark.parametrize("via", ["W", "I", "C"])
def test_it_serves_sms_alone(via):
    with pytest.raises(BadGatewayUrl, match="cannot serve this setting, but SMS_URL"):
        gateway_from_url("smpp://u:hunter2@smsc/?sender=AVAL", via)


def test_only_its_own_process_sends_by_it():
    with pytest.raises(GatewayError):
        gateway_from_url("smpp://u:hunter2@smsc/?sender=AVAL", "S").send(None, None)


def test_the_process_keeps_the_binds_of_all_smpp_urls_and_of_no_other(settings):
    urls = ("smpp://u:p@one/?sender=AVAL", "sandbox://", "smpp://u:p@two/?sender=AVAL")
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "S": urls}
    assert [gateway.name for gateway in process.gateways()] == ["smpp:one:2775", "smpp:two:2775"]
