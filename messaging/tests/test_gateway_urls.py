"""Gateways' URLs: the gateway of each, the errors, and that no error shows a password."""

import itertools

import pytest

from messaging.gateways import MAIL_SCHEMES, BadGatewayUrl, gateway_from_url, gateways_for, is_sandbox

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("smtp://mail.example.com", "smtp:mail.example.com:25"),
        ("smtp://mail.example.com/", "smtp:mail.example.com:25"),
        ("smtp://mail.example.com:2525", "smtp:mail.example.com:2525"),
        ("SMTP://Mail.Example.COM", "smtp:mail.example.com:25"),
        ("smtp://localhost:1025", "smtp:localhost:1025"),
        ("smtp://mail_relay:25", "smtp:mail_relay:25"),
        ("smtp://10.0.0.7", "smtp:10.0.0.7:25"),
        ("smtp://[::1]:25", "smtp:[::1]:25"),
        ("smtp+tls://mail.example.com", "smtp+tls:mail.example.com:587"),
        ("smtp+tls://u:hunter2@mail.example.com:25", "smtp+tls:mail.example.com:25"),
        ("smtps://u:hunter2@mail.example.com", "smtps:mail.example.com:465"),
        ("smtp+ssl://u%40x.pe:hunter2%2F%3F%23@mail.example.com", "smtp+ssl:mail.example.com:465"),
        ("smtp+ssl://u@x.pe:hunter2@mail.example.com", "smtp+ssl:mail.example.com:465"),
        ("smtp://" + ".".join(["m" * 60] * 4), ("smtp:" + ".".join(["m" * 60] * 4))[:100]),
    ],
)
def test_a_mail_url_becomes_a_gateway_named_without_its_credentials(url, name):
    gateway = gateway_from_url(url, "C")
    assert gateway.name == name
    assert SECRET not in repr(gateway)
    assert SECRET not in str(vars(gateway))


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_the_sandbox_serves_every_via(via):
    assert gateway_from_url("sandbox://", via).name == "sandbox"


@pytest.mark.parametrize(("scheme", "via"), [*itertools.product(MAIL_SCHEMES, "SWI")])
def test_mail_serves_no_other_via(scheme, via):
    with pytest.raises(BadGatewayUrl, match="cannot serve this setting, but EMAIL_URL"):
        gateway_from_url(f"{scheme}://mail.example.com", via)


BAD = [
    # no URL, or of no known kind
    ("", "written as a URL"),
    ("mail.example.com", "written as a URL"),
    ("mail.example.com:25", "written as a URL"),
    ("u:hunter2@mail.example.com", "written as a URL"),
    ("hunter2", "written as a URL"),
    ("://hunter2", "written as a URL"),
    ("sandbox:", "written as a URL"),
    ("smtp:/u:hunter2@mail.example.com", "written as a URL"),
    ("s m t p://u:hunter2@mail.example.com", "written as a URL"),
    ("gmail://u:hunter2@mail.example.com", "there are sandbox, smtp, smtp\\+tls, smtps, smtp\\+ssl"),
    # hosts
    ("smtp://", "needs a host"),
    ("smtp:///hunter2", "needs a host"),
    ("smtp://:25", "needs a host"),
    ("smtp+tls://u:hunter2@", "needs a host"),
    ("smtp+tls://u:hunter2@:587", "needs a host"),
    ("smtp://a..b", "not a host name"),
    ("smtp://-a.pe", "not a host name"),
    ("smtp://a,hunter2", "not a host name"),
    ("smtp://ñandú.pe", "not a host name"),
    ("smtp://" + "a" * 64 + ".pe", "not a host name"),
    ("smtp://[hunter2", "cannot be read"),
    # ports
    ("smtp://mail.example.com:", "port must be"),
    ("smtp://mail.example.com:0", "port must be"),
    ("smtp://mail.example.com:65536", "cannot be read"),
    ("smtp://mail.example.com:smtp", "cannot be read"),
    ("smtp://mail.example.com:-25", "cannot be read"),
    ("smtp://mail.example.com:２５", "cannot be read"),
    # passwords with a character that is not encoded
    ("smtp+tls://u:hunter2/x@mail.example.com", "cannot be read"),
    ("smtp+tls://u:25/hunter2@mail.example.com", "has a path"),
    ("smtp+tls://u:hunter2#x@mail.example.com", "#"),
    ("smtp+tls://u:x#hunter2@mail.example.com", "#"),
    ("smtp+tls://u:hunter2?x@mail.example.com", "cannot be read"),
    ("smtp+tls://u:25?hunter2@mail.example.com", "cannot be read"),
    ("smtp+tls://u:25?hunter2=@mail.example.com", "query may have ca"),
    ("smtp+tls://u:[hunter2@mail.example.com", "cannot be read"),
    ("smtp+tls://u:hunter2 x@mail.example.com", "blank or a control"),
    ("smtp+tls://u:hunter2\n@mail.example.com", "blank or a control"),
    ("smtp+tls://u:hunter2\x00@mail.example.com", "blank or a control"),
    # credentials
    ("smtp+tls://u@mail.example.com", "user and a password, or neither"),
    ("smtp+tls://:hunter2@mail.example.com", "user and a password, or neither"),
    ("smtp+tls://u:hunter2%C3%B1@mail.example.com", "printable ASCII"),
    ("smtp+tls://u:hunter2%0D%0A@mail.example.com", "printable ASCII"),
    # queries
    ("smtp+tls://u:hunter2@mail.example.com?verify=none", "always verified"),
    ("smtp+tls://u:hunter2@mail.example.com?verify=", "always verified"),
    ("smtp+tls://u:hunter2@mail.example.com?timeout=9", "query may have ca"),
    ("smtp+tls://u:hunter2@mail.example.com?ca=a&ca=b", "stands twice"),
    ("smtp+tls://u:hunter2@mail.example.com?ca", "cannot be read"),
    ("smtp+tls://u:hunter2@mail.example.com?ca=/no/such/file.pem", "readable file of certificates"),
    ("smtps://u:hunter2@mail.example.com?ca=" + __file__, "readable file of certificates"),
    ("smtp://u:hunter2@mail.example.com?ca=/etc/ca.pem", "takes no query"),
    ("smtp://mail.example.com/?x=1", "takes no query"),
    # the sandbox takes nothing
    ("sandbox://hunter2", "nothing else"),
    ("sandbox://u:hunter2@", "nothing else"),
    ("sandbox:///hunter2", "nothing else"),
    ("sandbox://?hunter2=1", "takes no query"),
]


@pytest.mark.parametrize(("url", "said"), BAD, ids=lambda each: ascii(each[:60]))
def test_a_url_that_describes_no_gateway_is_refused_and_not_quoted(url, said):
    with pytest.raises(BadGatewayUrl, match=said) as refusal:
        gateway_from_url(url, "C")
    assert str(refusal.value).startswith("EMAIL_URL")
    error: BaseException | None = refusal.value
    while error is not None:  # nor does any error behind it, where a log might dig it out
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__context__


def test_the_gateways_of_a_via_come_in_the_order_of_the_setting(settings):
    settings.AVAL_GATEWAYS = {"C": ["smtp://uno.pe", "smtps://dos.pe"], "S": ["sandbox://"]}
    assert [gateway.name for gateway in gateways_for("C")] == ["smtp:uno.pe:25", "smtps:dos.pe:465"]
    assert [gateway.name for gateway in gateways_for("S")] == ["sandbox"]
    assert gateways_for("W") == ()


def test_gateways_are_made_once_and_follow_the_setting(settings):
    settings.AVAL_GATEWAYS = {"C": ["smtp://uno.pe"]}
    before = gateways_for("C")
    assert gateways_for("C") is before
    settings.AVAL_GATEWAYS = {"C": ("smtp://dos.pe",)}
    assert [gateway.name for gateway in gateways_for("C")] == ["smtp:dos.pe:25"]


@pytest.mark.parametrize(
    ("url", "sandboxed"),
    [
        ("sandbox://", True),
        ("SANDBOX://", True),
        ("sandbox", False),
        ("smtp://sandbox", False),
        ("smtp://u:sandbox://@x.pe", False),
        ("", False),
    ],
)
def test_only_a_sandbox_url_is_a_sandbox(url, sandboxed):
    assert is_sandbox(url) is sandboxed
