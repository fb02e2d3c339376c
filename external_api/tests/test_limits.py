"""Limits of a caller, with Redis and without it."""

import pytest

from clients.client_ip import limiting_key
from clients.rate_limits.redis_client import breaker
from conftest import REGISTRATION, Registrar, delivered_code
from external_api.frontdoor import limits
from external_api.frontdoor.errors import RateLimited
from external_api.models import ApiRequest
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db


def limited(answer):
    assert (answer.status_code, answer.json()["code"]) == (429, "ERR_RATE_LIMITED")
    assert 1 <= int(answer["Retry-After"]) <= 86_400
    return True


@pytest.fixture(params=["redis", "redis unavailable"])
def with_and_without_redis(request):
    if request.param == "redis unavailable":
        breaker.trip(OSError("away"))


@pytest.mark.usefixtures("with_and_without_redis")
def test_requests_a_minute_from_one_address(front, settings):
    settings.RATE_PER_ADDRESS = 3
    assert [front.get("/nothing").status_code for _ in range(3)] == [404] * 3
    assert limited(front.get("/nothing"))
    assert ApiRequest.objects.count() == 3, "a flood does not fill the log"
    assert front.get("/status").status_code == 200, "status is never throttled"


@pytest.mark.usefixtures("with_and_without_redis")
def test_requests_a_minute_of_a_partner_do_not_touch_another(front, settings, informa, stranger):
    settings.RATE_PER_PARTNER = 2
    for _ in range(2):
        front.post("/client", {}, **informa.headers)
    assert limited(front.post("/client", {}, **informa.headers))
    assert front.post("/client", {}, **stranger.headers).status_code == 400
    informa.partner.requests_per_minute = 100
    informa.partner.save()
    assert front.post("/client", {}, **informa.headers).status_code == 400


@pytest.mark.usefixtures("with_and_without_redis")
def test_contract_3_has_the_same_limits_with_its_own_texts(settings, registrar, elsewhere):
    settings.RATE_PER_PARTNER, settings.RATE_PER_ADDRESS = 2, 10
    theirs, unknown = Registrar(elsewhere.jwt), Registrar("x")

    def said(answer):
        return answer.status_code, answer.json()["header"]["title"]

    limited = (429, "Demasiadas Solicitudes")
    assert [registrar.post({}).status_code for _ in range(2)] == [400, 400]
    answer = registrar.post({})
    assert said(answer) == limited
    assert 1 <= int(answer["Retry-After"]) <= 60
    logged = ApiRequest.objects.latest("id").pk
    assert answer.json()["header"]["event_id"] == f"event_{logged + 1}", "a number of its own, without a row"
    assert theirs.send().status_code == 200
    assert [unknown.send().status_code for _ in range(2)] == [401, 401]
    assert said(unknown.send()) == limited
    assert theirs.send().status_code == 200, "good ones from there still work"


def test_refused_credentials_come_at_a_fifth_of_the_rate(front, settings, informa):
    settings.RATE_PER_ADDRESS = 10
    bad = {"Authorization": "Bearer " + "A" * 32}
    assert [front.post("/client", {}, **bad).status_code for _ in range(3)] == [401, 401, 429]
    assert front.post("/client", {}, **informa.headers).status_code == 400, "good ones from there still work"


@pytest.mark.usefixtures("with_and_without_redis")
def test_paid_messages_a_day(front, settings, informa):
    settings.PAID_MESSAGES_PER_DAY = 2
    clients = [front.register(informa.headers, documento=f"1234567{each}") for each in range(4)]
    phones = [f"98765432{each}" for each in range(4)]
    for client, phone in zip(clients[:2], phones[:2], strict=True):
        assert front.ask(client, informa.headers, telefono=phone).status_code == 200
    assert limited(front.ask(clients[2], informa.headers, telefono=phones[2]))
    assert front.ask(clients[2], informa.headers, telefono=phones[2], via="W").status_code == 200, "each via by itself"
    assert front.ask(clients[3], informa.headers, via="C").status_code == 200, "mail costs nothing"


@pytest.mark.usefixtures("with_and_without_redis")
def test_codes_by_mail_a_day(front, settings, informa, stranger):
    settings.MAIL_CODES_PER_DAY = 2
    ids = [front.register(informa.headers, documento=f"1234567{n}", correo=f"a{n}@x.com") for n in range(3)]
    assert [front.ask(each, informa.headers, via="C").status_code for each in ids] == [200, 200, 429]
    assert front.ask(ids[2], informa.headers).status_code == 200, "a text message is counted by itself"
    other = front.register(stranger.headers, correo="b@x.com")
    assert front.ask(other, stranger.headers, via="C").status_code == 200
    third = front.register(correo="c@x.com")
    assert front.ask(third, via="C").status_code == 200, "in open mode it is the address"


@pytest.mark.usefixtures("with_and_without_redis")
def test_paid_messages_of_the_whole_installation(front, settings, informa, stranger, caplog):
    settings.PAID_MESSAGES_PER_DAY_TOTAL = 5
    asked = [(informa, "S", 0), (informa, "W", 1), (stranger, "S", 2), (stranger, "I", 3), (informa, "S", 4)]
    for who, via, n in asked:
        assert ("near their daily cap" in caplog.text) == (n > 3)
        client = front.register(who.headers, documento=f"1234567{n}")
        assert front.ask(client, who.headers, via=via, telefono=f"98765432{n}").status_code == 200
    for who, via in ((informa, "S"), (stranger, "W")):
        assert limited(front.ask(front.register(who.headers), who.headers, via=via))
    assert front.ask(front.register(informa.headers), informa.headers, via="C").status_code == 200


@pytest.mark.usefixtures("with_and_without_redis")
def test_a_refused_request_costs_no_paid_message(front, settings):
    settings.PAID_MESSAGES_PER_DAY = 2
    client = front.register()
    assert front.ask(client).status_code == 200
    for _ in range(5):
        assert front.ask(client).json()["code"] == "ERR_COOLDOWN_ACTIVE"
    assert front.ask(front.register(documento="87654321"), telefono="912345678").status_code == 200


def test_a_partner_may_have_no_paid_messages_at_all(front, informa):
    informa.partner.paid_messages_per_day = 0
    informa.partner.save()
    assert limited(front.ask(front.register(informa.headers), informa.headers))


@pytest.fixture
def guessed_at(front):
    """Callers' clients with a code each, in open mode."""

    def make(count):
        clients = [front.register(documento=f"1234567{each}") for each in range(count)]
        phones = [f"98765432{each}" for each in range(count)]
        for client, phone in zip(clients, phones, strict=True):
            assert front.ask(client, telefono=phone).status_code == 200
        return list(zip(clients, phones, strict=True))

    return make


@pytest.mark.usefixtures("with_and_without_redis")
def test_beyond_the_limit_of_wrong_codes_right_ones_pass_and_the_first_wrong_try_ends_a_code(
    front, settings, guessed_at
):
    settings.WRONG_CODES_PER_DAY = 3
    first, second, third = guessed_at(3)
    for client in (first, first, second):
        assert front.verify(client[0], "****").json()["code"] == "ERR_INVALID_TOKEN"
    assert front.verify(first[0], delivered_code(first[1])).status_code == 200
    assert front.verify(second[0], "****").json()["code"] == "ERR_MAX_ATTEMPTS"
    assert front.verify(second[0], "****").json()["code"] == "ERR_NO_PENDING_TOKEN"
    assert front.verify(third[0], "****").json()["code"] == "ERR_MAX_ATTEMPTS"
    assert VerificationToken.objects.get(applicant=third[0]).outcome == "FALLIDO"


@pytest.mark.usefixtures("with_and_without_redis")
def test_the_limit_of_wrong_codes_grows_with_the_codes_verified(front, settings, guessed_at):
    settings.WRONG_CODES_PER_DAY = 1
    *right, victim, other = guessed_at(6)
    for client, phone in right:
        assert front.verify(client, delivered_code(phone)).status_code == 200
    for _ in range(2):  # half of four
        assert front.verify(victim[0], "****").json()["code"] == "ERR_INVALID_TOKEN"
    assert front.verify(other[0], "****").json()["code"] == "ERR_MAX_ATTEMPTS"


@pytest.mark.usefixtures("with_and_without_redis")
def test_wrong_codes_raise_the_alarm_at_half_the_limit_and_at_the_limit(front, settings, guessed_at, caplog):
    settings.WRONG_CODES_PER_DAY = 4
    ((client, _),) = guessed_at(1)
    said = []
    for _ in range(4):
        caplog.clear()
        front.verify(client, "****")
        said.append([each.message for each in caplog.records if "wrong codes" in each.message])
    assert said == [
        [],
        ["half of the daily limit of wrong codes reached"],
        [],
        ["daily limit of wrong codes reached: somebody may be guessing"],
    ]


def test_wrong_codes_of_one_caller_do_not_end_another_s_codes(front, settings, informa, stranger):
    settings.WRONG_CODES_PER_DAY = 1
    mine, theirs = front.register(informa.headers), front.register(stranger.headers)
    front.ask(mine, informa.headers)
    front.ask(theirs, stranger.headers, telefono="912345678")
    assert front.verify(mine, "****", **informa.headers).json()["code"] == "ERR_INVALID_TOKEN"
    assert front.verify(mine, "****", **informa.headers).json()["code"] == "ERR_MAX_ATTEMPTS"
    assert front.verify(theirs, "****", **stranger.headers).json()["code"] == "ERR_INVALID_TOKEN"


def test_the_caller_s_address_is_the_socket_s_unless_a_trusted_proxy_names_it(front, settings):
    settings.RATE_PER_ADDRESS = 1
    assert front.get("/nothing", **{"X-Forwarded-For": "1.1.1.1"}).status_code == 404
    assert limited(front.get("/nothing", **{"X-Forwarded-For": "2.2.2.2"}))
    import ipaddress

    settings.TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8")]
    assert front.get("/nothing", **{"X-Forwarded-For": "6.6.6.6, 3.3.3.3, 10.1.2.3"}).status_code == 404
    assert limited(front.get("/nothing", **{"X-Forwarded-For": "7.7.7.7, 3.3.3.3"}))


@pytest.mark.parametrize(
    ("address", "key"),
    [("1.2.3.4", "1.2.3.4"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::9", "2001:db8:1:2::")],
)
def test_an_ipv6_customer_is_counted_by_their_network(address, key):
    assert limiting_key(address) == key


def test_registering_is_limited_too(front, settings):
    settings.RATE_PER_ADDRESS = 1
    front.post("/client", REGISTRATION)
    assert limited(front.post("/client", REGISTRATION))


@pytest.mark.usefixtures("with_and_without_redis")
def test_an_anonymous_count_that_is_given_back_does_not_count_for_the_address(settings):
    settings.RATE_PER_ADDRESS = 2
    anybody = limits.Caller(None, "1.2.3.4")
    for _ in range(5):
        limits.count_request(anybody)
        limits.give_back_request(anybody)
    for _ in range(2):
        limits.count_request(anybody)
    with pytest.raises(RateLimited):
        limits.count_request(anybody)
    limits.give_back_request(anybody)
    limits.count_request(anybody)
