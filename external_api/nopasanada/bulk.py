"""Bulk requests `alta` and `baja`, with a result for each row (docs/contracts/nopasanada.md, Answers)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from clients.authorized_clients import authorize, deauthorize, live_among
from clients.models import Partner
from external_api.nopasanada.serializers import (
    EMAIL_NOT_FOUND,
    EMAIL_REPEATED,
    EMAIL_TAKEN,
    Checked,
    check_address,
    check_new,
)


def alta(partner: Partner, rows: list[Any], *, request_id: int, at: datetime) -> dict[str, Any]:
    """Authorise the valid rows whose address is not live yet; of several rows with one address the first valid one
    (docs/contracts/nopasanada.md, Open points)."""
    checked = [check_new(row) for row in rows]
    first = _first_with_each_address(checked, lambda row: row.values is not None)
    repeated_or_invalid = {
        row.email for index, row in enumerate(checked) if row.email and first.get(row.email) != index
    }
    taken = live_among(partner, repeated_or_invalid) if repeated_or_invalid else set()
    wanted = [row.values for index, row in enumerate(checked) if row.values and first[row.email] == index]
    live_already = authorize(partner, wanted, request_id=request_id, at=at)
    for index, row in enumerate(checked):
        winner = first.get(row.email)
        if row.email in taken or (winner == index and row.email in live_already):
            row.faults.append(EMAIL_TAKEN)
        if winner is not None and winner < index:
            row.faults.append(EMAIL_REPEATED)
    return results(checked)


def baja(partner: Partner, rows: list[Any], *, request_id: int, at: datetime) -> dict[str, Any]:
    """End the authorisation of each address that is live with this partner."""
    checked = [check_address(row) for row in rows]
    first = _first_with_each_address(checked, lambda row: bool(row.email))
    ended = deauthorize(partner, first, request_id=request_id, at=at) if first else set()
    for index, row in enumerate(checked):
        if not row.email:
            continue
        if first[row.email] < index:
            row.faults.append(EMAIL_REPEATED)
        elif row.email not in ended:
            row.faults.append(EMAIL_NOT_FOUND)
    return results(checked)


def results(checked: list[Checked]) -> dict[str, Any]:
    """`resultados` of alta and baja, the same object whatever the outcome."""
    good = [{"correo": row.email, "indice": index} for index, row in enumerate(checked) if not row.faults]
    bad = [{"errores": row.faults, "indice": index} for index, row in enumerate(checked) if row.faults]
    return {"cuenta_exitos": len(good), "cuenta_fallos": len(bad), "exitos": good, "fallos": bad}


def _first_with_each_address(checked: list[Checked], counts: Callable[[Checked], bool]) -> dict[str, int]:
    first: dict[str, int] = {}
    for index, row in enumerate(checked):
        if counts(row):
            first.setdefault(row.email, index)
    return first
