"""Cost of a row or a file of clients: no spelling of it holds a thread for long."""

import io
import time
import tracemalloc
import unicodedata
import zipfile

import pytest
from openpyxl import Workbook

from clients.identity.domains import spellings
from clients.identity.emails import canonical_email
from clients.identity.names import nfc, normalised
from external_api.client_import import limits, workbook_parts
from external_api.client_import.columns import FIELDS
from external_api.client_import.limits import WrongFile
from external_api.client_import.spreadsheets import MAX_BYTES, read
from external_api.nopasanada.serializers import check_new

ROWS = 3_000
PLAIN = {
    "nombre": "Juan Pérez",
    "tipo_documento": "DNI",
    "numero_documento": "12345678",
    "celular": "987654321",
    "codigo_externo": "C-1",
    "perfil": "VIP",
}
LETTERS = "áéíóúüñçàèìòùâêîôûäëïöÿčšžěřůťďňľĺŕőűąęćńśźżłđ"
MARKS = "\u0301\u0316\u0323\u0328"


def seconds(rows):
    """CPU seconds that checking them takes, the better of two."""

    def once():
        spellings.cache_clear()
        began = time.process_time()
        for row in rows:
            check_new(row)
        return time.process_time() - began

    return min(once(), once())


def addressed(address):
    return [{**PLAIN, "correo": address(number)} for number in range(ROWS)]


def label(number, length):
    return "".join(LETTERS[(number * (place + 3) + place * 7) % len(LETTERS)] for place in range(length))


def valid_row():
    return addressed(lambda number: f"u{number}@dominio{number}.com")


# --- rows ---


def test_a_domain_that_many_rows_share_is_converted_once():
    assert seconds(addressed(lambda number: f"u{number}@ñandú.pe")) < 6 * seconds(valid_row())


@pytest.mark.parametrize(
    "domain",
    [
        lambda number: label(number, 240) + ".pe",
        lambda number: ".".join(label(number, 60) for _ in range(3)) + ".pe",
        lambda number: ".".join(label(number + place, 1) for place in range(60)) + ".pe",
        lambda number: "a." * 110 + "1",
        lambda number: ("a-" * 30 + "a.") * 3 + "a-",
    ],
)
def test_a_domain_that_cannot_fit_is_refused_before_it_is_converted(domain):
    rows = addressed(lambda number: f"u@{domain(number)}")
    assert all("Correo Invalido." in check_new(row).faults for row in rows[:10])
    assert seconds(rows) < 25 * seconds(valid_row())  # measured: 5 to 13; before: 100 to 600


def test_the_longest_legal_domains_cost_a_conversion_each_and_no_more():
    rows = addressed(lambda number: "u@" + ".".join(label(number + place, 20) for place in range(4)) + ".pe")
    assert check_new(rows[1]).faults == []

    def conversions():
        began = time.process_time()
        for row in rows:
            for each in row["correo"][2:].split(".")[:-1]:
                each.encode("punycode")
        return time.process_time() - began

    assert seconds(rows) < 3 * min(conversions(), conversions())


@pytest.mark.parametrize("field", ["nombre", "codigo_externo", "perfil", "correo", "numero_documento"])
def test_marks_without_end_cost_no_more_than_their_length(field):
    """Composing sorts a run of combining marks in quadratic time: a megabyte took a quarter of an hour."""
    row = {**PLAIN, "correo": "a@b.pe", field: "a" + MARKS * 250_000}
    began = time.process_time()
    assert check_new(row).faults
    assert time.process_time() - began < 3


def test_letters_of_real_languages_are_composed():
    for text in ("e\u0301", "a" + "\u0323\u0302" * 3, "각", "Ợ", "क\u094d\u0937", "\u1f82", "-" * 80, "ñ" * 300):
        assert nfc(text) == unicodedata.normalize("NFC", text)
    long = "a" + MARKS * 20
    assert unicodedata.is_normalized("NFC", nfc(long))
    assert nfc(nfc(long)) == nfc(long)
    assert normalised("  José \u00a0 Díaz ") == "José Díaz"


def test_cached_domains_are_bounded():
    for number in range(3_000):
        spellings(f"ñ{number}.pe")
    assert spellings.cache_info().currsize == spellings.cache_info().maxsize <= 3_000
    assert canonical_email("u@ñ1.pe") == "u@ñ1.pe"


# --- files ---


def xlsx(parts):
    """A workbook with some of its parts exchanged."""
    book, whole = Workbook(), io.BytesIO()
    book.active.append(FIELDS)
    book.save(whole)
    changed = io.BytesIO()
    parts = {"xl/sharedStrings.xml": f'<sst xmlns="{SPREADSHEET}"/>', **parts}
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *parts}:
            new.writestr(name, parts.get(name) or old.read(name).replace(b"</Types>", TEXTS_TOO))
    return changed.getvalue()


TEXTS_TOO = b"""<Override PartName="/xl/sharedStrings.xml"
    ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml" /></Types>"""
SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
EMPTY_TEXTS = f'<sst xmlns="{SPREADSHEET}">' + "<si/>" * 4_000_000 + "</sst>"
COLUMNS = f'<worksheet xmlns="{SPREADSHEET}"><sheetData>' + f"<row>{'<c/>' * 16_000}</row>" * 200
COLUMNS += "</sheetData></worksheet>"
STYLES = f'<styleSheet xmlns="{SPREADSHEET}"><fonts>' + "<font/>" * 700_000 + "</fonts></styleSheet>"
UNFOLDING = f"""<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY a "{"a" * 100_000}">]>
<sst xmlns="{SPREADSHEET}"><si><t>{"&a;" * 50}</t></si></sst>"""
SHEETS = (
    f'<workbook xmlns="{SPREADSHEET}"><sheets>' + '<sheet name="a" sheetId="1"/>' * 200_000 + "</sheets></workbook>"
)


@pytest.mark.parametrize(
    ("part", "contents", "text"),
    [
        ("xl/sharedStrings.xml", EMPTY_TEXTS, "demasiadas celdas o textos. Deje solo"),
        (
            "xl/sharedStrings.xml",
            EMPTY_TEXTS.replace("<si/>", "<x/>"),
            "demasiadas celdas o textos. Deje solo|segundos",
        ),
        ("xl/worksheets/sheet1.xml", COLUMNS, "demasiadas celdas o textos. Deje solo|segundos"),
        ("xl/styles.xml", STYLES, "demasiadas celdas o textos. Deje solo"),
        ("xl/workbook.xml", SHEETS, "demasiadas celdas o textos. Deje solo|dañado o protegido"),
        ("xl/sharedStrings.xml", UNFOLDING, "dañado o protegido"),
        ("xl/sharedStrings.xml", EMPTY_TEXTS.encode("utf-16"), "demasiad|dañado"),
        (
            "xl/sharedStrings.xml",
            ('<?xml version="1.0" encoding="cp037"?>' + EMPTY_TEXTS).encode("cp037"),
            "demasiad|dañado",
        ),
    ],
)
def test_a_workbook_that_unfolds_is_refused_soon(part, contents, text):
    data = xlsx({part: contents})
    began = time.process_time()
    with pytest.raises(WrongFile, match=text):
        read(data, at_most=10_000, too_many="x")
    assert time.process_time() - began < 5  # measured: 0.1 to 2; unbounded: up to 147


def test_a_number_beyond_all_bounds_is_a_broken_workbook():
    styles = f'<styleSheet xmlns="{SPREADSHEET}"><cellXfs><xf numFmtId="{"9" * 25}"/></cellXfs></styleSheet>'
    with pytest.raises(WrongFile, match="dañado"):
        read(xlsx({"xl/styles.xml": styles}), at_most=10_000, too_many="x")


def test_a_zip_of_very_many_parts_is_refused():
    data = xlsx({f"x/{number}": "a" for number in range(limits.MAX_PARTS + 1)})
    with pytest.raises(WrongFile, match="demasiado grande"):
        read(data, at_most=10_000, too_many="x")


def test_whatever_the_bounds_let_through_ends_with_the_deadline(monkeypatch):
    monkeypatch.setattr(workbook_parts, "MAX_ELEMENTS", 10**9)
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.5)
    data = xlsx({"xl/worksheets/sheet1.xml": COLUMNS})
    began = time.monotonic()
    with pytest.raises(WrongFile, match="más de 10 segundos"):
        read(data, at_most=10_000, too_many="x")
    assert time.monotonic() - began < 10


def bordered(rows, *, closed=False):
    """A sheet with one client, and below it rows with a border and nothing else."""
    text = "".join(f'<c t="inlineStr"><is><t>{each}</t></is></c>' for each in FIELDS)
    client = "".join(f'<c t="inlineStr"><is><t>{each}</t></is></c>' for each in ("", "", "", "", "C", "V", "a@b.pe"))
    blank = '<c r="{}{}" s="1"></c>' if closed else '<c r="{}{}" s="1" t="n" />'
    below = "".join(
        f'<row r="{row}" spans="1:7">{"".join(blank.format(column, row) for column in "ABCDEFG")}</row>'
        for row in range(3, 3 + rows)
    )
    return (
        f'<worksheet xmlns="{SPREADSHEET}"><sheetData><row r="1">{text}</row><row r="2">{client}</row>{below}'
        '<row r="1048576"><c r="A1048576" s="1"/></row></sheetData></worksheet>'
    )


@pytest.mark.parametrize("closed", [False, True])
def test_blank_rows_by_the_hundred_thousand_cost_no_time(closed):
    data = xlsx({"xl/worksheets/sheet1.xml": bordered(250_000, closed=closed)})
    assert len(data) < MAX_BYTES
    began = time.process_time()
    assert [row.number for row in read(data, at_most=10_000, too_many="x").rows] == [2]
    assert time.process_time() - began < 4  # measured: 1.3; by the parser alone: 9


def test_blank_rows_cost_no_memory():
    data = xlsx({"xl/worksheets/sheet1.xml": bordered(30_000)})
    tracemalloc.start()
    try:
        read(data, at_most=10_000, too_many="x")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4_000_000 + len(data)


def test_rows_that_only_look_blank_are_kept():
    """A piece of text is no markup, and a row without a number is counted from the one before."""
    text = bordered(0).replace("<t>C</t>", '<t><![CDATA[<row r="9"/>]]></t>')
    assert read(xlsx({"xl/worksheets/sheet1.xml": text}), at_most=9, too_many="x").rows[0].cells[4] == '<row r="9"/>'
    unnumbered = bordered(0).replace('<row r="2">', "<row>").replace('<row r="1">', '<row r="7"/><row r="8">')
    with pytest.raises(WrongFile, match="dañado"):
        read(xlsx({"xl/worksheets/sheet1.xml": unnumbered}), at_most=9, too_many="x")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"," * 5_000_000, "más de 16384 columnas"),
        (",".join(FIELDS).encode() + b"\n" + b"," * 4_000_000, "más de 16384 columnas"),
        (b"a" * 5_000_000, "mal formado"),
        (b"\n" * 5_000_000, "vacío"),
        (b",,\n" * 1_600_000, "vacío"),
        (b'"' + b'""' * 2_000_000 + b'"', "mal formado"),
    ],
)
def test_a_csv_without_end_is_refused_soon(data, text):
    began = time.process_time()
    with pytest.raises(WrongFile, match=text):
        read(data, at_most=10_000, too_many="x")
    assert time.process_time() - began < 3


def test_a_whole_sheet_of_clients_is_read_in_time():
    book, into = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet()
    sheet.append(FIELDS)
    for number in range(10_000):
        sheet.append(["Juan Pérez", "DNI", "12345678", "987654321", f"C-{number}", "VIP", f"u{number}@dominio.com"])
    book.save(into)
    assert len(read(into.getvalue(), at_most=10_000, too_many="x").rows) == 10_000
