"""Walk of one `POST token` through the modules of the project, for the request and for the worker.

    python -m testkit.walk

A stay is a run of calls into functions of one file; a return is a stay in a file that was visited before. Few files
and few returns mean that a reader can follow the request without turning back. Comprehensions and lambdas are not
counted: they stand where the reader is, and from Python 3.12 on most of them are no calls.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import django
from django.core.management import call_command
from django.db import connections
from django.test import Client

from config.embedded.stack import stack

ROOT = Path(__file__).resolve().parent.parent
PERSON = {
    "tipo_documento": "DNI",
    "digito_verificador": "9",
    "nombres": "Juan",
    "apellido_paterno": "Perez",
    "apellido_materno": "Gomez",
    "departamento": "LIMA",
    "provincia": "LIMA",
    "distrito": "MIRAFLORES",
}


def stays(act: Callable[[], Any]) -> list[str]:
    """Files of the project in the order in which `act` calls functions of theirs, without repetitions in a row."""
    called: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        is_function = not frame.f_code.co_name.startswith("<")
        if event == "call" and is_function and path.startswith(f"{ROOT}/") and ".venv" not in path:
            called.append(str(Path(path).relative_to(ROOT)))

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return [path for path, _ in groupby(called)]


def report(title: str, walked: list[str]) -> str:
    files = len(set(walked))
    return f"{title}: {files} files, {len(walked)} stays, {len(walked) - files} returns\n  " + "\n  ".join(walked)


def main() -> None:
    with TemporaryDirectory(prefix="aval-walk-") as folder, stack(folder) as servers:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": servers.owner_url,
            "REDIS_URL": servers.redis_url,
            "SECRET_KEY": "a-secret-for-the-walk-of-more-than-32-characters",
            "SANDBOX": "true",
            "INFORMAPERU_OPEN": "true",
            "LOG_LEVEL": "ERROR",
        }
        django.setup()
        call_command("migrate", verbosity=0)
        for title, walked in walk():
            sys.stdout.write(report(title, walked) + "\n")
        connections.close_all()


def walk() -> list[tuple[str, list[str]]]:
    """The request and its delivery, after a first pair that fills every cache."""
    from messaging.delivery import send

    http, walks = Client(headers={"Host": "localhost"}), []
    for number in range(2):
        person = {**PERSON, "documento": f"1234567{number}", "correo": f"juan{number}@example.com"}
        made = http.post("/v1/api/client", person, "application/json")
        path = f"/v1/api/client/{made.json()['data']['id']}/token"
        body = {"via": "S", "telefono": f"98765432{number}", "operador": "CLARO"}
        request = partial(http.post, path, body, "application/json")
        walks = [("POST token", stays(request)), ("delivery", stays(partial(send.deliver_due, "codes")))]
    return walks


if __name__ == "__main__":
    main()
