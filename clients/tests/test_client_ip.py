"""Client address of a request, in each spelling of X-Forwarded-For."""

import ipaddress

import pytest

from clients import client_ip
from clients.client_ip import caller_address, limiting_key

PROXY, INNER = "10.0.0.1", "10.0.0.2"


@pytest.fixture(autouse=True)
def trusted(settings):
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fe80::/10")]
    client_ip._warnings.forget()


def of(forwarded, remote=PROXY):
    return caller_address({"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded})


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        (" 203.0.113.7:51234 ", "203.0.113.7"),
        ("203.0.113.7:", "203.0.113.7"),
        ("203.0.113.7:_hidden", "203.0.113.7"),
        ('"203.0.113.7:51234"', "203.0.113.7"),
        ("'203.0.113.7'", "203.0.113.7"),
        ("for=203.0.113.7", "203.0.113.7"),
        ('For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("[203.0.113.7]:51234", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ('"[2001:db8::7]:51234"', "2001:db8::7"),
        ("2001:db8::7:51234", "2001:db8::7"),  # no group of an address has five digits
        ("2001:db8:1:2:3:4:5:6:443", "2001:db8:1:2:3:4:5:6"),
        ("2001:DB8::7%eth0", "2001:db8::7"),
        ("[fec0::7%25eth0]:443", "fec0::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("203.0.113.7,", "203.0.113.7"),
        ("203.0.113.7, , ", "203.0.113.7"),
        (",203.0.113.7", "203.0.113.7"),
        ("203.0.113.7\t,\t10.0.0.2", "203.0.113.7"),
        ("203.0.113.7:51234, 10.0.0.2:80", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the left one the caller wrote
        ("unknown, 203.0.113.7", "203.0.113.7"),
        ("", PROXY),
        (" , ", PROXY),
        ("10.0.0.2", INNER),
    ],
)
def test_an_element_is_read_in_every_spelling(forwarded, address, caplog):
    assert of(forwarded) == address
    assert not caplog.records


@pytest.mark.parametrize(
    "forwarded",
    ["203.0.113.7, unknown", "203.0.113.7, _hidden", "203.0.113.7, [::1", "203.0.113.7, -, 10.0.0.2", "203.0.113.7, é"],
)
def test_what_cannot_be_read_is_passed_over_with_a_warning(forwarded, caplog):
    assert of(forwarded) == "203.0.113.7"
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_thousand_lists_that_cannot_be_read_are_one_warning_a_minute(caplog, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(client_ip.time, "monotonic", lambda: clock[0])
    for _ in range(1000):
        of("unknown")
    assert [(each.proxy, each.element, each.lists) for each in caplog.records] == [(PROXY, "unknown", 1)]
    clock[0] += client_ip.WARN_EVERY
    of("unknown")
    assert caplog.records[-1].lists == 1000
    assert len(caplog.records) == 2


def test_callers_whom_a_proxy_describes_differently_stay_different_ones():
    """Neither gets the address of the proxy, which every request without a list has."""
    keys = {limiting_key(of(each)) for each in ("id-1", "id-2", "203.0.113", "203.000.113.007", "unknown")}
    assert len(keys | {PROXY}) == 6
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("100::/16") for each in keys)
    assert of("id-1") == of(" id-1 ,") == of("198.51.100 , id-1")
    assert of("id-1") != of("id-1, 10.0.0.2")  # of another inner proxy


def test_bytes_that_are_no_text_have_an_address_too():
    assert of("\udcff\x00" * 10_000).startswith("100:")


def test_no_list_is_read_further_than_anybody_has_proxies(monkeypatch):
    read = []
    monkeypatch.setattr(client_ip, "_hop", read.append)
    of("203.0.113.7" + ", unknown" * 10_000)
    assert len(read) == client_ip.HOPS


def test_the_zone_of_a_peer_is_left_out_of_its_address():
    assert of("203.0.113.7", remote="fe80::1%eth0") == "203.0.113.7"
    assert caller_address({"REMOTE_ADDR": "2001:db8::7%3"}) == "2001:db8::7"


def test_a_list_is_read_from_trusted_proxies_only(caplog):
    assert of("203.0.113.7, unknown", remote="198.51.100.9") == "198.51.100.9"
    assert not caplog.records


def test_a_socket_without_an_address_is_one_caller():
    assert of("203.0.113.7", remote="") == "0.0.0.0"
