"""Count of the statements in each step of a cycle, from PostgreSQL's log, transaction control included.

    python -m bench.statements     prints {"ask": n, "deliver 10": n, "verify": n}, with a stack's environment

It runs in one process: Django's test client makes the requests, and the worker's thread pool delivers.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

BODY = {
    "tipo_documento": "DNI",
    "digito_verificador": "9",
    "nombres": "Juan",
    "apellido_paterno": "Perez",
    "departamento": "LIMA",
    "provincia": "LIMA",
    "distrito": "MIRAFLORES",
}


def count_statements(act: Callable[[], Any]) -> int:
    log = Path(os.environ["DATA_DIR"], "logs", "postgres.log")
    before = log.stat().st_size
    act()
    with log.open("rb") as file:
        file.seek(before)
        return len(re.findall(rb"LOG:  (?:statement|execute)", file.read()))


def main() -> None:
    django.setup()
    from django.db import connection
    from django.test import Client

    from messaging.delivery import send, thread_pool
    from messaging.queue.sealing import unseal

    http = Client(SERVER_NAME="localhost")
    with connection.cursor() as cursor:
        cursor.execute("SET log_statement = 'all'")
        cursor.execute("ALTER ROLE CURRENT_USER SET log_statement = 'all'")  # for the threads of the worker

    def post(path: str, body: dict[str, str]) -> Any:
        answer = http.post(f"/v1/api{path}", data=body, content_type="application/json")
        assert answer.status_code in (200, 201), answer.content
        return answer.json()["data"]

    def ask(number: int) -> str:
        body = {"via": "S", "telefono": f"9{number}", "operador": "CLARO"}
        return str(post(f"/client/{clients[number]}/token", body)["token_id"])

    def deliver() -> None:
        thread_pool.deliver_due()
        thread_pool.finish()

    numbers = range(90_000_001, 90_000_013)
    clients = {n: post("/client", BODY | {"documento": str(n), "correo": f"{n}@example.com"})["id"] for n in numbers}
    ask(numbers[0])  # the first request of a process also fills its caches
    send.deliver_due("codes")
    found = {"ask": count_statements(lambda: ask(numbers[1]))}
    tokens = [ask(number) for number in numbers[2:11]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM messaging_message WHERE reference = %s", [tokens[0]])
        code = unseal(cursor.fetchone()[0])
    found["deliver 10"] = count_statements(deliver)
    found["verify"] = count_statements(lambda: http.get(f"/v1/api/client/{clients[numbers[2]]}/verify/{code}"))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
