"""Floor of the benchmarks: the least code that can be called an ask and a verify.

Server, Django and database are the same. An ask is two hand-written statements, a verify is one, without REST
framework, request log, queue and worker; of the ladder there is only the first rung. The second statement puts the code
into the outbox.

One statement would be quicker and wrong: parallel requests for one number would each judge by the snapshot that they
took before they waited for each other, and all would pass. So the first locks, and the second reads.

    python -m bench.floor     serves it at PORT
"""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

from config.run.programs import web_command
from tokens import codes

TEXT = "{code} es tu clave. Vence en 2 min 30 s. No la compartas con nadie."
CODE_LIFETIME = timedelta(seconds=150)

LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(%(phone)s::varchar, 0)) FROM (
    SELECT FROM clients_applicant WHERE id = %(applicant)s FOR NO KEY UPDATE
) AS applicant
"""
"""The applicant first, then the number, as ours: the function of the outer SELECT runs after the row lock."""
ASK = """
WITH ended AS (
    UPDATE tokens_verificationtoken SET outcome = 'REEMPLAZADO', finished_at = %(at)s
    WHERE applicant_id = %(applicant)s AND outcome = 'PENDIENTE' AND {passes} RETURNING id
), token AS (
    INSERT INTO tokens_verificationtoken
        (id, applicant_id, via, destination, operator, code_hmac, wrong_tries, created_at, expires_at, outcome,
         client_attempt, client_wait, destination_attempt, destination_wait)
    SELECT %(token)s, id, 'S', %(phone)s::varchar, 'CLARO', %(hmac)s, 0, %(at)s, %(expires)s, 'PENDIENTE',
           1, '2 min', 1, '2 min'
    FROM clients_applicant
    WHERE id = %(applicant)s AND state = 'PENDIENTE' AND {passes} AND (SELECT count(*) FROM ended) >= 0
    RETURNING id
), message AS (
    INSERT INTO messaging_message
        (id, kind, via, recipient, subject, text, html, state, attempts, next_attempt_at, provider, provider_id,
         provider_reply, reference, created_at, sent_at)
    SELECT %(message)s, 'verificacion', 'S', %(phone)s::varchar, '', '', '', 'SENT', 1, %(at)s, '', '', '', id, %(at)s,
           %(at)s
    FROM token
), sent AS (
    INSERT INTO messaging_sandboxmessage (message_id, via, "to", text, created)
    SELECT %(message)s, 'S', %(phone)s::varchar, %(text)s::text, %(at)s FROM token
)
SELECT id FROM token
""".format(
    passes="""NOT EXISTS (
        SELECT FROM tokens_verificationtoken
        WHERE destination = %(phone)s::varchar AND via = 'S' AND created_at > %(at)s - interval '2 min'
    )"""
)
VERIFY = """
WITH checked AS (
    UPDATE tokens_verificationtoken SET
        outcome = CASE WHEN code_hmac = %(hmac)s THEN 'VALIDADO' WHEN wrong_tries = 4 THEN 'FALLIDO' ELSE outcome END,
        wrong_tries = wrong_tries + CASE WHEN code_hmac = %(hmac)s THEN 0 ELSE 1 END,
        finished_at = CASE WHEN code_hmac = %(hmac)s OR wrong_tries = 4 THEN %(at)s END
    WHERE applicant_id = %(applicant)s AND outcome = 'PENDIENTE' AND expires_at >= %(at)s
    RETURNING applicant_id, destination, outcome
), proved AS (
    UPDATE clients_applicant SET state = 'VALIDADO', validated_at = %(at)s, proved_destination = checked.destination
    FROM checked WHERE id = checked.applicant_id AND checked.outcome = 'VALIDADO'
)
SELECT outcome FROM checked
"""


def ask(request: HttpRequest, client: UUID) -> JsonResponse:
    phone, code, at, token = json.loads(request.body)["telefono"], codes.generate(), datetime.now(UTC), uuid4()
    values = {
        "applicant": client,
        "phone": phone,
        "at": at,
        "expires": at + CODE_LIFETIME,
        "token": token,
        "message": uuid4(),
        "hmac": codes.digest(client, code),
        "text": TEXT.format(code=code),
    }
    if _locked_and_asked(values) is None:
        return JsonResponse({"error": "refused"}, status=429)
    return JsonResponse({"message": "sent", "data": {"token_id": str(token), "expires_in_seconds": 150}})


def _locked_and_asked(values: dict[str, Any]) -> tuple[Any, ...] | None:
    """Both statements in one exchange: without BEGIN and COMMIT, PostgreSQL makes one transaction of a pipeline."""
    with connection.cursor() as locking, connection.cursor() as asking:
        with connection.connection.pipeline():
            locking.execute(LOCK, values)
            asking.execute(ASK, values)
        made: tuple[Any, ...] | None = asking.fetchone()
    return made


def verify(request: HttpRequest, client: UUID, code: str) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute(VERIFY, {"applicant": client, "hmac": codes.digest(client, code), "at": datetime.now(UTC)})
        outcome = cursor.fetchone()
    if outcome is None or outcome[0] != "VALIDADO":
        return JsonResponse({"error": "wrong"}, status=400)
    return JsonResponse({"message": "proved", "data": {"status": "VALIDADO"}})


urlpatterns = [
    path("v1/api/client/<uuid:client>/token", ask),
    path("v1/api/client/<uuid:client>/verify/<str:code>", verify),
]

if __name__ == "__main__":
    command = [*web_command(), "--application", "bench.floor_wsgi:application"]
    os.execv(command[0], command)
