"""Views of the message log: list, new rows, and export as a spreadsheet."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from clients.client_ip import caller_address
from clients.models import audit
from external_api.client_import.spreadsheets import csv_text, total_line, write_xlsx
from external_api.frontdoor.errors import Unavailable
from external_api.frontdoor.export_slots import STAFF, Slot
from external_api.frontdoor.exports import Body, file_body
from external_api.frontdoor.keyset import Position
from messaging.masking import masked, masked_in
from support.access import desk_page, page
from support.message_log import queries
from support.message_log.queries import PILLS, FilterForm

ROWS_PER_CHUNK = 500
"""Rows of one chunk of CSV."""


@desk_page("GET", "HEAD")
def log(request: HttpRequest) -> HttpResponse:
    """Page of the log. With `desde_fila` only the newer rows, for the page's own script."""
    form, asked = _asked(request)
    search = queries.searched(asked, at=timezone.now())
    since = Position.read(request.GET.get("desde_fila", ""))
    if since is not None:
        fresh = queries.newer(search, than=since)
        newest = Position.of(fresh[0]) if fresh else since
        answer = render(request, "support/log_rows.html", {"rows": _shown(fresh)})
        answer.headers["X-Newest"] = str(newest)
        return answer
    found = queries.page(search, before=Position.read(request.GET.get("antes", "")))
    kept = _without(request, "antes")
    return page(
        request,
        "log",
        form=form,
        rows=_shown(found.rows),
        older=found.older,
        newest=found.newest,
        kept=kept,
        looked_back_to=found.looked_back_to,
        first=not request.GET.get("antes"),
        pills=[(name, label) for name, (label, _) in PILLS.items()],
        group=asked.get("grupo", ""),
        is_filtered=any(value for name, value in asked.items() if name != "grupo"),
        without_group=_without(request, "antes", "grupo"),
    )


@desk_page("GET")
def export(request: HttpRequest, form: str) -> Any:
    """Export of the filtered rows as CSV, streamed, or as XLSX."""
    _, asked = _asked(request)
    if form not in ("csv", "xlsx"):
        raise Http404
    try:
        slot = Slot(STAFF)
    except Unavailable as wait:
        answer = page(request, "busy", status=503)
        answer.headers["Retry-After"] = str(wait.retry_after)
        return answer
    at = timezone.now()
    try:
        _audit_export(request, form, asked, at=at)
        rows = queries.cells(queries.searched(asked, at=at))
        return _as_csv(rows, slot) if form == "csv" else _as_xlsx(rows, slot)
    except Exception:
        slot.release()
        raise


def _audit_export(request: HttpRequest, form: str, asked: dict[str, Any], *, at: datetime) -> None:
    """Audit the export: who, when and which rows."""
    who: Any = request.user
    chosen = {name: str(value) for name, value in asked.items() if value}
    audit(
        who,
        "messages.exported",
        at=at,
        by=who.get_username(),
        address=caller_address(request.META),
        format=form,
        filter=chosen,
    )


def _as_csv(rows: Iterator[list[str]], slot: Slot) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(Body(_csv(rows), slot), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="mensajes.csv"'
    return answer


def _as_xlsx(rows: Iterator[list[str]], slot: Slot) -> StreamingHttpResponse:
    file = tempfile.TemporaryFile()  # noqa: SIM115  the body closes it
    write_xlsx(rows, file, title="Mensajes", columns=queries.COLUMNS)
    body, size = file_body(file, slot)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    headers = {"Content-Length": str(size), "Content-Disposition": 'attachment; filename="mensajes.xlsx"'}
    return StreamingHttpResponse(body, content_type=kind, headers=headers)


def _asked(request: HttpRequest) -> tuple[FilterForm, dict[str, Any]]:
    form = FilterForm(request.GET)
    form.is_valid()
    return form, form.cleaned_data


def _without(request: HttpRequest, *names: str) -> str:
    """Query string without some parameters, for a link."""
    kept = request.GET.copy()
    for name in (*names, "desde_fila"):
        kept.pop(name, None)
    return kept.urlencode()


def _shown(rows: list[Any]) -> list[dict[str, Any]]:
    tones = {state: name for name, (_, states) in PILLS.items() for state in states}
    return [
        {
            "message": each,
            "to": masked(each.via, each.recipient),
            "reply": masked_in(each.provider_reply, each.via, each.recipient),
            "tone": tones[each.state],
        }
        for each in rows
    ]


def _csv(rows: Iterator[list[str]]) -> Iterator[bytes]:
    """CSV with a byte order mark, so that Excel reads it as UTF-8. The last line counts the rows, so that a cut file
    shows."""
    yield b"\xef\xbb\xbf" + csv_text([queries.COLUMNS]).encode()
    count = 0
    while piece := list(islice(rows, ROWS_PER_CHUNK)):
        count += len(piece)
        yield csv_text(piece).encode()
    yield total_line(count).encode()
