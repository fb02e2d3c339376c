"""Which URLs an endpoint may have, and which addresses are called: nothing inside a network, however it is written."""

import ipaddress
import socket

import pytest

from webhooks import addresses
from webhooks.addresses import BadUrl, NotCalled, Target, is_public, resolve, target_of, target_of_operator

INTERNAL = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "10.0.0.7",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "3232235777",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:808:808::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[100::1]",
    "[2001:db8::1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "api.localhost",
    "postgres",
    "redis.internal",
    "metadata.google.internal",
    "printer.local",
]


@pytest.mark.parametrize("host", INTERNAL)
def test_a_url_inside_a_network_is_refused_in_every_spelling(host):
    for port in ("", ":8443"):
        with pytest.raises(BadUrl):
            target_of(f"https://{host}{port}/hook", sandbox=False)


@pytest.mark.parametrize("host", [each for each in INTERNAL if each[0].isdigit() or each[0] == "["])
def test_a_name_that_resolves_into_a_network_is_not_called(host, monkeypatch):
    """As the resolver answers for a name: rebinding, a wildcard name such as 127.0.0.1.nip.io, a typing error."""
    found = socket.getaddrinfo(host.strip("[]"), 443, type=socket.SOCK_STREAM)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(NotCalled):
        resolve(target_of("https://hooks.example.com/", sandbox=False), sandbox=False)


def test_a_name_with_one_internal_address_among_public_ones_is_not_called(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: found)
    with pytest.raises(NotCalled):
        resolve(target_of("https://hooks.example.com/", sandbox=False), sandbox=False)


def test_addresses_are_the_public_ones_in_the_resolvers_order(monkeypatch):
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700:4700::1111", 443, 0, 0)),
        *[(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("1.1.1.1", "1.1.1.1", "8.8.8.8")],
    ]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **kwargs: found)
    called = resolve(target_of("https://hooks.example.com/", sandbox=False), sandbox=False)
    assert [str(each) for each in called] == ["2606:4700:4700::1111", "1.1.1.1", "8.8.8.8"]


@pytest.mark.parametrize("fault", [socket.gaierror(), UnicodeError(), OSError()])
def test_a_name_that_does_not_resolve_is_not_called(fault, monkeypatch):
    def fail(*args, **kwargs):
        raise fault

    monkeypatch.setattr(addresses.socket, "getaddrinfo", fail)
    with pytest.raises(NotCalled):
        resolve(target_of("https://hooks.example.com/", sandbox=False), sandbox=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com/x",
        "//hooks.example.com/x",
        "http://hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "file:///etc/passwd",
        "gopher://hooks.example.com/",
        "https://",
        "https:///x",
        "https://user@hooks.example.com/",
        "https://user:key@hooks.example.com/",
        "https://:@hooks.example.com/",
        "https://8.8.8.8@10.0.0.1/",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/#here",
        "https://hooks.example.com/#",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://hooks.example.com/ x",
        "https://hooks.example.com/\r\nX: 1",
        "https://hooks.example.com/\x00",
        "https://hooks.ejemplo.pe/ñ",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://xn--a/",
        "https://" + "a" * 300 + ".com/",
        "https://hooks.example.com/" + "x" * 500,
    ],
)
def test_what_is_no_url_of_an_endpoint_is_refused(url):
    with pytest.raises(BadUrl) as refused:
        target_of(url, sandbox=False)
    assert refused.value.reason.endswith(".")
    if "://h" in url and "http://" not in url:
        with pytest.raises(BadUrl):
            target_of(url, sandbox=True)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.example.com", ("https", "hooks.example.com", 443, "/")),
        ("https://Hooks.Example.COM./a/b?c=d&e", ("https", "hooks.example.com", 443, "/a/b?c=d&e")),
        ("HTTPS://hooks.example.com:8443/", ("https", "hooks.example.com", 8443, "/")),
        ("https://xn--caf-dma.example.com/", ("https", "xn--caf-dma.example.com", 443, "/")),
        ("https://8.8.8.8/", ("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700:4700::1111]:444/x", ("https", "2606:4700:4700::1111", 444, "/x")),
    ],
)
def test_the_parts_of_a_url(url, parts):
    target = target_of(url, sandbox=False)
    assert (target.scheme, target.host, target.port, target.path) == parts


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "2130706433:9000"])
def test_a_developers_own_receiver_is_called_in_the_sandbox_alone(host):
    for scheme in ("http", "https"):
        target = target_of(f"{scheme}://{host}/hook", sandbox=True)
        assert all(each.is_loopback for each in resolve(target, sandbox=True))
        with pytest.raises(NotCalled):
            resolve(target, sandbox=False)


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "hooks.example.com"])
def test_the_sandbox_opens_nothing_else(host):
    with pytest.raises(BadUrl):
        target_of(f"http://{host}/", sandbox=True)


def test_public_addresses_are_called():
    for text in ("8.8.8.8", "200.48.225.130", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(text)), text


def test_a_url_of_the_operators_own_may_be_of_an_internal_network():
    target = target_of_operator("http://10.0.0.7:9093/alarms?of=aval")
    assert target == Target("http", "10.0.0.7", 9093, "/alarms?of=aval")
    assert [str(each) for each in resolve(target, sandbox=False, internal=True)] == ["10.0.0.7"]
    with pytest.raises(NotCalled):
        resolve(target, sandbox=False)


@pytest.mark.parametrize("url", ["ftp://x/", "https://", "https://user:password@x/", "http://x:99999/", "alarms"])
def test_not_every_text_is_a_url_of_the_operators(url):
    with pytest.raises(BadUrl):
        target_of_operator(url)
