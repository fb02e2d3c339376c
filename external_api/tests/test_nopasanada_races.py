"""Contract 1 in parallel: real threads and connections on PostgreSQL."""

import random

import pytest

from clients.models import AuthorizedClient
from conftest import NopasanadaClient, at_once

pytestmark = pytest.mark.django_db(transaction=True)


def row(email):
    return {"codigo_externo": "C", "perfil": "VIP", "correo": email}


def test_of_24_parallel_altas_of_one_address_one_wins(desk):
    def alta():
        return NopasanadaClient(desk.token).send("alta", clientes=[row("ana@dominio.com")])

    answers = at_once([alta] * 24)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 23
    losers = [answer.json()["resultados"]["fallos"] for answer in answers if answer.status_code == 400]
    assert losers == [[{"errores": ["Correo ya registrado."], "indice": 0}]] * 23
    assert AuthorizedClient.objects.count() == 1


def test_two_requests_with_5_000_overlapping_rows_in_opposite_orders(desk):
    emails = [f"c{each}@dominio.com" for each in range(5_000)]
    backwards = emails[::-1]
    answers = at_once(
        [
            lambda rows=rows: NopasanadaClient(desk.token).send("alta", clientes=[row(each) for each in rows])
            for rows in (emails, backwards)
        ]
    )
    assert {answer.status_code for answer in answers} <= {200, 207, 400}
    added = [each["correo"] for answer in answers for each in answer.json()["resultados"]["exitos"]]
    assert sorted(added) == sorted(emails), "each address once, over both answers"
    assert AuthorizedClient.objects.count() == 5_000
    answers = at_once(
        [
            lambda rows=rows: NopasanadaClient(desk.token).send("baja", clientes=[row(each) for each in rows])
            for rows in (emails, backwards)
        ]
    )
    ended = [each["correo"] for answer in answers for each in answer.json()["resultados"]["exitos"]]
    assert sorted(ended) == sorted(emails)
    assert not AuthorizedClient.objects.filter(deauthorized_at__isnull=True).exists()


def test_alta_and_baja_of_the_same_addresses_racing_end_consistently(desk):
    emails = [f"c{each}@dominio.com" for each in range(300)]
    seed = random.randrange(10**9)
    chance = random.Random(seed)

    def act(kind, rows):
        return lambda: (kind, NopasanadaClient(desk.token).send(kind, clientes=[row(each) for each in rows]))

    acts = [act(kind, chance.sample(emails, 200)) for kind in ("alta", "baja") * 5]
    answers = at_once(acts)
    assert {answer.status_code for _, answer in answers} <= {200, 207, 400}, f"seed {seed}"
    balance = dict.fromkeys(emails, 0)
    for kind, answer in answers:
        for good in answer.json()["resultados"]["exitos"]:
            balance[good["correo"]] += 1 if kind == "alta" else -1
    live = set(AuthorizedClient.objects.filter(deauthorized_at__isnull=True).values_list("email", flat=True))
    assert {email: int(email in live) for email in emails} == balance, f"seed {seed}"
