"""Import and export of clients, without the pages that start them.

django-import-export is not used: it looks up and saves row by row, through a model form's rules and texts. Here a file
goes through `bulk.alta` as a request of the contract does: the same rules, the same texts, a handful of statements
whatever the number of rows, and exactly one winner when a partner adds the same address at that moment.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from tempfile import TemporaryFile
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import JSONArray

from clients.local_time import LIMA
from clients.models import AuthorizedClient, Contract, Partner, audit
from external_api.client_import.columns import COLUMNS, FIELDS
from external_api.client_import.spreadsheets import SheetRow, csv_text, total_line, write_xlsx
from external_api.frontdoor import request_log
from external_api.frontdoor.export_slots import STAFF
from external_api.frontdoor.exports import Body, Export, file_body
from external_api.models import ApiRequest
from external_api.nopasanada import bulk


@dataclass(frozen=True)
class Fault:
    """A line that was not imported, with all its faults."""

    number: int
    email: str
    errors: list[str]


@dataclass(frozen=True)
class Outcome:
    good: int
    faults: list[Fault]
    request_id: int = 0


SAMPLE = 10
"""Clients that the review shows as they would be stored."""


@dataclass(frozen=True)
class Sample:
    """A line as it would be stored: values of FIELDS."""

    number: int
    values: list[str]


@dataclass(frozen=True)
class Review:
    """What the page before an import shows. It travels with the rows, so that it can be shown again."""

    partner: str
    file: str
    source: str
    notes: list[str]
    outcome: Outcome
    sample: list[Sample]

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Review":
        """From `dataclasses.asdict`, by way of JSON."""
        outcome = plain["outcome"]
        return cls(
            plain["partner"],
            plain["file"],
            plain["source"],
            plain["notes"],
            Outcome(outcome["good"], [Fault(**each) for each in outcome["faults"]]),
            [Sample(**each) for each in plain["sample"]],
        )


def preview(partner: Partner, lines: Sequence[SheetRow], *, at: datetime) -> tuple[Outcome, list[Sample]]:
    """Return the outcome that `apply` would have now, and the first clients as they would be stored: run the same
    code, read, and roll back, so that the rules cannot differ."""
    with transaction.atomic():
        results = _alta(partner, lines, request_id=0, at=at)
        stored = _stored(partner, lines, results)
        transaction.set_rollback(True)
    return _outcome(lines, results), stored


def apply(partner: Partner, lines: Sequence[SheetRow], *, at: datetime, by: str, address: str, file: str) -> Outcome:
    """Authorise the valid lines and record who asked for it: as a request of contract 1, and in the audit."""
    began = time.perf_counter()
    with transaction.atomic():
        number = request_log.next_id()
        outcome = _outcome(lines, _alta(partner, lines, request_id=number, at=at), number)
        good, bad = outcome.good, len(outcome.faults)
        ApiRequest(
            id=number,
            contract=Contract.NOPASANADA,
            partner=partner,
            user=by,
            action="alta",
            status=200 if not bad else 207 if good else 400,
            successes=good,
            failures=bad,
            address=address,
            duration_ms=round((time.perf_counter() - began) * 1000),
            created_at=at,
        ).save(force_insert=True)
        audit(partner, "clients.imported", at=at, by=by, address=address, request=number, file=file, good=good, bad=bad)
    return outcome


class Rows:
    """Clients of a queryset for a file: in constant memory, one export of staff at a time (`export_slots`).

    Raises Unavailable while another one runs. The caller must close it.
    """

    def __init__(self, clients: QuerySet[AuthorizedClient]) -> None:
        columns = (
            "name",
            "document_type",
            "document_number",
            "phone",
            "external_code",
            "profile",
            "email",
            "partner__name",
            "subscribed_at",
            "unsubscribed_at",
            "request_id",
            "created_at",
            "deauthorized_at",
        )
        query = clients.order_by("id").values_list(JSONArray(*columns)).query
        self._export = Export(*query.sql_with_params(), owner=STAFF)
        self.slot = self._export.slot

    @property
    def count(self) -> int:
        """Number of rows; right once they are out."""
        return self._export.count

    def batches(self) -> Iterator[list[list[str]]]:
        with closing(self._export.chunks()) as chunks:  # type: ignore[type-var]
            for chunk in chunks:
                yield [_cells(row) for row in json.loads(b"[" + chunk.lstrip(b",") + b"]")]

    def close(self) -> None:
        self._export.release()


def csv_body(rows: Rows) -> Body:
    """Body of a CSV."""

    def generate() -> Iterator[bytes]:
        yield ("\ufeff" + csv_text([COLUMNS])).encode()  # byte order mark: Excel recognises UTF-8 by it
        for batch in rows.batches():
            yield csv_text(batch).encode()
        yield total_line(rows.count).encode()

    return Body(generate(), rows.slot)


def xlsx_body(rows: Rows) -> tuple[Body, int]:
    """Body of an XLSX, which is made whole first, and its size."""
    file = TemporaryFile()  # noqa: SIM115  the body closes it
    try:
        write_xlsx((row for batch in rows.batches() for row in batch), file)
        return file_body(file, rows.slot)
    except BaseException:
        file.close()
        rows.close()
        raise


def _alta(partner: Partner, lines: Sequence[SheetRow], *, request_id: int, at: datetime) -> dict[str, Any]:
    """Results of `alta` by the index of their line. A line that cannot be read as its sheet shows it stays outside: the
    contract's rules would judge values that nobody wrote."""
    readable = [index for index, line in enumerate(lines) if not line.faults]
    rows = [dict(zip(FIELDS, lines[index].cells, strict=True)) for index in readable]
    results = bulk.alta(partner, rows, request_id=request_id, at=at)
    good = [{**each, "indice": readable[each["indice"]]} for each in results["exitos"]]
    bad = [{**each, "indice": readable[each["indice"]]} for each in results["fallos"]]
    bad += [{"errores": list(line.faults), "indice": index} for index, line in enumerate(lines) if line.faults]
    return {"exitos": good, "fallos": sorted(bad, key=itemgetter("indice"))}


def _stored(partner: Partner, lines: Sequence[SheetRow], results: dict[str, Any]) -> list[Sample]:
    """The first clients, as the transaction that runs has stored them."""
    first = {each["correo"]: lines[each["indice"]].number for each in results["exitos"][:SAMPLE]}
    columns = ("name", "document_type", "document_number", "phone", "external_code", "profile", "email")
    live = AuthorizedClient.objects.filter(partner=partner, email__in=first, deauthorized_at=None)
    return [Sample(first[row[-1]], list(row)) for row in live.order_by("id").values_list(*columns)]


def _outcome(lines: Sequence[SheetRow], results: dict[str, Any], request_id: int = 0) -> Outcome:
    faults = [
        Fault(lines[fault["indice"]].number, lines[fault["indice"]].cells[FIELDS.index("correo")], fault["errores"])
        for fault in results["fallos"]
    ]
    return Outcome(len(results["exitos"]), faults, request_id)


def _cells(row: list[Any]) -> list[str]:
    *plain, subscribed, unsubscribed, request_id, created, ended = row
    is_subscribed = subscribed is not None and unsubscribed is None and ended is None
    return [*plain, "sí" if is_subscribed else "no", str(request_id), _moment(created), _moment(ended)]


def _moment(value: str | None) -> str:
    return "" if value is None else f"{datetime.fromisoformat(value).astimezone(LIMA):%Y-%m-%d %H:%M:%S}"
