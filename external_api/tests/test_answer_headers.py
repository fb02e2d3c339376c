"""Headers of every answer of the contracts: the request's id and the caller's limit."""

import re
from typing import Any

import pytest

from clients.models import Partner
from clients.rate_limits import redis_client
from conftest import InformaperuClient

pytestmark = pytest.mark.django_db

STATE = re.compile(r'"requests";r=(\d+);t=(\d+)')


def bearer(member: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {member.token}"}


@pytest.fixture
def partner(informa: Any) -> Any:
    Partner.objects.filter(pk=informa.partner.pk).update(requests_per_minute=120)
    return informa


def left(answer: Any) -> int:
    found = STATE.fullmatch(answer["RateLimit"])
    assert found
    assert 1 <= int(found[2]) <= 60
    return int(found[1])


def test_what_is_left_falls_with_each_request(front: InformaperuClient, partner: Any) -> None:
    seen = []
    for _ in range(30):
        answer = front.get("/nada", **bearer(partner))
        answer = front.get("/client/nadie/cooldown/S", **bearer(partner))
        assert answer["RateLimit-Policy"] == '"requests";q=120;w=60'
        seen.append(left(answer))
    assert seen == list(range(119, 89, -1)) or seen == sorted(seen, reverse=True)
    assert seen[0] >= 117
    assert seen[-1] <= 92


def test_nothing_is_left_where_the_limit_is_reached(front: InformaperuClient, partner: Any) -> None:
    Partner.objects.filter(pk=partner.partner.pk).update(requests_per_minute=2)
    answers = [front.get("/client/nadie/cooldown/S", **bearer(partner)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert [left(answer) for answer in answers] == [1, 0, 0]
    assert STATE.fullmatch(answers[-1]["RateLimit"])[2] == answers[-1]["Retry-After"]  # type: ignore[index]


def test_without_redis_only_the_policy_is_known(
    front: InformaperuClient, partner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client.breaker, "closed_until", float("inf"))
    answer = front.get("/client/nadie/cooldown/S", **bearer(partner))
    assert answer["RateLimit-Policy"] == '"requests";q=120;w=60'
    assert "RateLimit" not in answer


@pytest.mark.parametrize("path", ["/status", "/nada", "/client/nadie/cooldown/S"])
def test_every_answer_has_its_request_id(front: InformaperuClient, path: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", front.get(path)["Request-Id"])
