"""Export of everything stored about a person, as one JSON file in plain Spanish: the right of access of Ley 29733.

Each section says what it is, which rows it has, and the name of each column; it also says what is left out and why
(`support.privacy.erasure`). Rows are read and written in chunks, whatever their number.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from clients.local_time import display
from support.privacy.erasure import Dossier
from support.privacy.sections import SECTIONS


def document(person: Dossier, *, at: datetime) -> Iterator[str]:
    """The file in chunks."""
    head = {
        "titulo": "Datos personales que guarda este sistema",
        "ley": "Ley 29733 y DS 016-2024-JUS: derecho de acceso, gratuito",
        "responsable_del_sistema": settings.BRAND,
        "fecha_de_esta_copia": display(at),
        "horas": "Todas son de Lima (UTC-5), con el día primero.",
        "lo_que_no_se_incluye": (
            "Los códigos de verificación no se guardan en claro y no están aquí. Quién del personal hizo algo se dice"
            " como «personal»; las empresas, por su nombre. Lo borrado por su plazo ya no existe."
        ),
    }
    yield "{\n" + f'"acerca_de": {_json(head)}'
    explained = {section.name: section.says for section in SECTIONS}
    yield f',\n"que_es_cada_parte": {_json(explained)}'
    for section in SECTIONS:
        yield f',\n"{section.name}": ['
        for number, row in enumerate(section.written(person)):
            yield ("," if number else "") + "\n" + _json(row)
        yield "\n]"
    yield "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
