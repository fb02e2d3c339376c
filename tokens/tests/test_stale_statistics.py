"""Codes whose time is up are closed quickly though PostgreSQL's statistics know of none (messaging has the same)."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tokens import settling
from tokens.models import VerificationToken

INSERT = """
    WITH made AS (
        INSERT INTO clients_applicant (id, document_type, document_number, check_character, names, paternal_surname,
            maternal_surname, email, department, province, district, ubigeo, state, proved_via, proved_destination,
            proved_operator, wrong_codes_in_a_row, created_at, updated_at)
        SELECT gen_random_uuid(), 'DNI', (%(first)s::int + n)::text, '', '', '', '', '', '', '', '', '', 'PENDIENTE',
            '', '', '', 0, %(at)s, %(at)s FROM generate_series(1, %(count)s::int) AS n RETURNING id
    )
    INSERT INTO tokens_verificationtoken (id, applicant_id, via, destination, operator, code_hmac, wrong_tries,
        created_at, expires_at, outcome, finished_at, client_attempt, client_wait, destination_attempt,
        destination_wait)
    SELECT gen_random_uuid(), id, 'S', '987654321', '', '', 0, %(at)s, %(at)s, %(outcome)s, %(finished)s, 1, '0', 1, '0'
    FROM made
"""


def insert(first, count, outcome, *, at, finished=None):
    with connection.cursor() as cursor:
        params = {"first": first, "count": count, "outcome": outcome, "at": at, "finished": finished}
        cursor.execute(INSERT, params)


@pytest.mark.django_db
def test_codes_are_closed_quickly_though_the_statistics_know_of_none():
    at = timezone.now()
    insert(10_000_000, 20_000, "SIN_RESPUESTA", at=at - timedelta(days=1), finished=at)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tokens_verificationtoken")
    insert(20_000_000, 5_000, "PENDIENTE", at=at - timedelta(seconds=1))
    began = time.monotonic()
    assert settling.close_over(at=at) == settling.AT_ONCE
    assert time.monotonic() - began < 0.2
    assert VerificationToken.objects.filter(outcome="PENDIENTE").count() == 5_000 - settling.AT_ONCE
