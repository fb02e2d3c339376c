"""XLSX of many writers: what Excel opens is read, and a cell that is not what the sheet shows is a fault of its row."""

import datetime as dt
import io
import zipfile

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.datavalidation import DataValidation

from external_api.client_import.columns import FIELDS
from external_api.client_import.limits import WrongFile
from external_api.client_import.number_formats import NotAsShown, shown
from external_api.client_import.spreadsheets import read
from external_api.tests import workbooks
from external_api.tests.workbooks import book, number, row, sheet, styles, text

ANA = ("Ana Paz", "DNI", "45678912", "987654321", "C-1", "VIP", "ana@dominio.pe")
HEADER = row(*map(text, FIELDS))
CLIENT = row(*map(text, ANA))


def read_list(data):
    return read(data, at_most=10_000, too_many="Demasiados clientes.")


def rows(data):
    return [(each.number, tuple(each.cells)) for each in read_list(data).rows if not each.faults]


def faults(data):
    return [list(each.faults) for each in read_list(data).rows]


def with_cell(cell, column, **more):
    """A workbook with one client, one of whose cells is exchanged."""
    cells = [text(each) for each in ANA]
    cells[FIELDS.index(column)] = cell
    return book({"Hoja": sheet(HEADER, row(*cells))}, **more)


def saved(workbook):
    into = io.BytesIO()
    workbook.save(into)
    return into.getvalue()


# --- cells ---


@pytest.mark.parametrize("column", ["codigo_externo", "perfil", "nombre", "correo"])
@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ('<c t="e"><v>#N/A</v></c>', "error de Excel (#N/A)"),
        ('<c t="e"><f>A1/0</f><v>#DIV/0!</v></c>', "error de Excel (#DIV/0!)"),
        ('<c t="b"><v>1</v></c>', "valor lógico"),
        ('<c t="b"><v>0</v></c>', "valor lógico"),
        ('<c t="d"><v>2026-01-12T00:00:00</v></c>', "fecha"),
        (number("46034", 1), "fecha"),
        (number("0.5", 2), "fecha"),
        (number("1.5", 3), "fecha"),
        (number("0.5", 4), "de otro modo"),
        (number("12", 5), "de otro modo"),
        (number("1234567890123457"), "más de 15 cifras"),
        (number("1.2345678901234570E+18"), "más de 15 cifras"),
        (number("-1E+300"), "más de 15 cifras"),
        (number("0.30000000000000004"), "más de 15 cifras"),
        (number("1E+999"), "no es un número"),
        (number("INF"), "no es un número"),
        (number("NaN"), "no es un número"),
        (number("doce"), "no es un número"),
        ("<c><f>B2</f></c>", "fórmula sin resultado"),
        ("<c><f>B2</f><v></v></c>", "fórmula sin resultado"),
        ('<c t="s"><v>7</v></c>', "falta en el archivo"),
        (text("VIP_x000D_"), "carácter de control"),
        (text("_x0041_-1"), "carácter de control"),
        ('<c t="str"><f>A1</f><v>#¡REF!</v></c>', "error de Excel"),
        (text("#VALUE!"), "error de Excel"),
        (text("1.23E+15"), "acortó"),
        (text("2026-01-12 00:00:00"), "fecha"),
        (text("NaN"), "la falta de un valor"),
        (text("JosÃ© VIP"), "dañadas"),
        (text("Categor\ufffda"), "dañadas"),
    ],
)
def test_a_cell_that_is_not_what_it_shows_is_a_fault(cell, column, fault):
    data = with_cell(
        cell, column, parts={"xl/styles.xml": styles("yyyy-mm-dd", "h:mm", "[h]:mm:ss", "0%", '"S/" 0.00')}
    )
    [[found]] = faults(data)
    assert found.startswith(f"{column}: ")
    assert fault in found


@pytest.mark.parametrize(
    ("raw", "number_format", "shown_as"),
    [
        ("123", "General", "123"),
        ("123.0", "General", "123"),
        ("1.23E+2", "General", "123"),
        ("123", "00000", "00123"),
        ("123456", "00000", "123456"),
        ("0", "00000", "00000"),
        ("-7", "000", "-007"),
        ("1234567", "00000000", "01234567"),
        ("123", "00000;[Red]-00000", "00123"),
        ("123", "[Blue]00000_)", "00123"),
        ("123", "[$-280A]00000", "00123"),
        ("123", "0.00", "123"),
        ("12.5", "0.00", "12.5"),
        ("1234", "#,##0", "1234"),
        ("1234", "_(* #,##0_)", "1234"),
        ("123", "@", "123"),
        ("12", '"C-"0000', "C-0012"),
        ("12", "\\C\\-0000", "C-0012"),
        ("987654321", "000 000 000", "987 654 321"),
        ("987654321", "###-###-###", "987-654-321"),
        ("1234567", "00-000-000", "01-234-567"),
        ("999999999999999", "General", "999999999999999"),
    ],
)
def test_a_number_is_read_as_its_format_shows_it(raw, number_format, shown_as):
    assert shown(raw, number_format) == shown_as
    if number_format == "00000":
        assert (
            rows(with_cell(number(raw, 1), "codigo_externo", parts={"xl/styles.xml": styles("00000")}))[0][1][4]
            == shown_as
        )


@pytest.mark.parametrize(
    ("raw", "number_format"),
    [
        ("0.5", "0%"),
        ("12.5", "0"),
        ("12.345", "0.00"),
        ("1234", "0.0E+00"),
        ("0.5", "# ?/?"),
        ("1234", "#,##0,"),
        ("12", '"S/" #,##0.00'),
        ("12", "[$S/-280A] 0"),
        ("12", "mmm-yy"),
        ("12", '"VIP"'),
        ("-5", "000-000"),
    ],
)
def test_a_number_that_its_format_shows_otherwise_is_a_fault(raw, number_format):
    with pytest.raises(NotAsShown):
        shown(raw, number_format)


def test_a_number_with_separators_in_its_format_is_a_phone_and_a_document():
    formats = styles("000 000 000", "00-000-000")
    cells = [text(each) for each in ANA]
    cells[2], cells[3] = number("5678912", 2), number("987654321", 1)
    data = book({"Hoja": sheet(HEADER, row(*cells))}, parts={"xl/styles.xml": formats})
    assert rows(data)[0][1][2:4] == ("05678912", "987654321")


def test_openpyxl_s_dates_booleans_errors_and_formulas_are_faults():
    workbook = Workbook()
    workbook.active.append(FIELDS)
    for odd in (
        dt.datetime.combine(dt.date(2026, 1, 12), dt.time()),
        dt.date(2026, 1, 12),
        dt.time(8, 30),
        dt.timedelta(hours=30),
        True,
        "#REF!",
        "=1+1",
    ):
        workbook.active.append([*ANA[:4], odd, *ANA[5:]])
    assert [len(each) for each in faults(saved(workbook))] == [1] * 7


def test_more_cells_than_columns_are_a_fault_and_an_unnamed_column_between_is_refused():
    data = book({"Hoja": sheet(HEADER, row(*map(text, (*ANA, "sobra"))), CLIENT)})
    assert faults(data) == [["Tiene 1 celda más que columnas: puede haber una coma sin comillas."], []]
    far = book({"Hoja": sheet(HEADER, row(*map(text, ANA), '<c r="XFD2"><v>1</v></c>'))})
    assert faults(far) == [["Tiene 16377 celdas más que columnas: puede haber una coma sin comillas."]]
    gap = book(
        {
            "Hoja": sheet(
                row(text("correo"), text(""), text("perfil"), text("codigo_externo")),
                row(*map(text, ("a@b.pe", "x", "V", "C"))),
            )
        }
    )
    with pytest.raises(WrongFile, match=r"La columna B no tiene nombre y tiene datos \(fila 2\)"):
        read_list(gap)


@pytest.mark.parametrize("place", [0, 3, 7, 40])
def test_an_unknown_column_is_refused_wherever_it_stands(place):
    names = [*FIELDS, *[""] * 40]
    names.insert(place, "Saldo")
    with pytest.raises(WrongFile, match="Columnas desconocidas: saldo"):
        read_list(book({"Hoja": sheet(row(*map(text, names)), CLIENT)}))


# --- sheets ---


def test_the_first_visible_sheet_with_the_columns_is_read_and_the_others_are_named():
    data = book(
        {
            "Vieja": sheet(HEADER, row(*map(text, (*ANA[:6], "vieja@dominio.pe")))),
            "Portada": sheet(row(text("Banco Andino"))),
            "Clientes": sheet(HEADER, CLIENT),
            "Vacía": sheet(),
            "Otra": sheet(HEADER, CLIENT),
        },
        hidden=("Vieja",),
    )
    found = read_list(data)
    assert [each.cells[6] for each in found.rows] == ["ana@dominio.pe"]
    assert found.source == "Hoja «Clientes»"
    assert found.notes == ["No se leen otras hojas con datos: «Vieja» (oculta), «Portada», «Otra»."]


def test_a_misspelled_column_of_the_first_sheet_is_not_passed_over_for_another_sheet():
    wrong = row(*map(text, (*FIELDS[:6], "correo", "Saldo")))
    with pytest.raises(WrongFile, match="Columnas desconocidas: saldo"):
        read_list(book({"Uno": sheet(wrong, CLIENT), "Dos": sheet(HEADER, CLIENT)}))


def test_a_hidden_sheet_is_never_read():
    with pytest.raises(WrongFile, match="hoja oculta «Clientes», que no se lee"):
        read_list(book({"Portada": sheet(row(text("x"))), "Clientes": sheet(HEADER, CLIENT)}, hidden=("Clientes",)))
    with pytest.raises(WrongFile, match="Hoja «Portada»: Columnas desconocidas: x"):
        read_list(book({"Portada": sheet(row(text("x")))}))


def test_hidden_rows_are_read_and_named():
    clients = [row(*map(text, ANA), hidden=str(at % 2)) for at in range(30)]
    found = read_list(book({"Hoja": sheet(HEADER, *clients)}))
    assert len(found.rows) == 30
    [note] = found.notes
    assert note.startswith("Filas ocultas en Excel")
    assert note.endswith("también se leen: 3, 5, 7, 9, 11, 13, 15, 17, 19, 21 y 5 más.")


def test_titles_may_stand_above_the_columns():
    titles = [row(text("Banco Andino S.A.")), row(), row(text("Lista de clientes"), text("enero"))]
    found = read_list(book({"Hoja": sheet(*titles, HEADER, CLIENT)}))
    assert [(each.number, each.cells[6]) for each in found.rows] == [(5, "ana@dominio.pe")]
    assert found.notes == ["Los nombres de las columnas están en la fila 4; lo de arriba no se lee."]


# --- what other programs write ---


def strict():
    return book(
        {"Hoja": sheet(HEADER, CLIENT, main=workbooks.STRICT_MAIN)},
        main=workbooks.STRICT_MAIN,
        links=workbooks.STRICT_LINKS,
    )


def with_prefixes():
    written = sheet(HEADER, CLIENT).replace("<", "<x:").replace("<x:/", "</x:").replace("<x:?xml", "<?xml")
    return book({"Hoja": written.replace("xmlns=", "xmlns:x=")})


def with_rich_and_shared_texts():
    """Shared texts: in runs, with a phonetic reading, with spaces kept."""
    texts = [*FIELDS, *ANA]
    items = [f"<si><t>{each}</t></si>" for each in texts]
    items[7] = '<si><r><t>Ana </t></r><r><rPr><b/></rPr><t>Paz</t></r><rPh sb="0" eb="1"><t>アナ</t></rPh></si>'
    items[8] = '<si><t xml:space="preserve">DNI </t></si>'
    cells = [f'<c t="s"><v>{at}</v></c>' for at in range(14)]
    return book(
        {"Hoja": sheet(row(*cells[:7]), row(*cells[7:]))},
        parts={"xl/sharedStrings.xml": f'<sst xmlns="{workbooks.MAIN}">{"".join(items)}</sst>'},
    )


def with_broken_styles():
    """A colour that is none, and a font without an end of its list."""
    fills = '<fills count="9"><fill><patternFill><fgColor rgb="verde"/></patternFill></fill></fills>'
    styles_ = '<cellXfs><xf numFmtId="0" fontId="99"/></cellXfs>'
    broken = f'<styleSheet xmlns="{workbooks.MAIN}">{fills}{styles_}</styleSheet>'
    return book({"Hoja": sheet(HEADER, CLIENT)}, parts={"xl/styles.xml": broken})


def with_absolute_targets_and_backslashes():
    data = book({"Hoja": sheet(HEADER, CLIENT)})
    into = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            contents = old.read(name).replace(b'Target="worksheets/', b'Target="/xl/worksheets/')
            new.writestr(name.replace("/", "\\") if name.startswith("xl/worksheets") else name, contents)
    return into.getvalue()


def in_utf_16():
    return book(
        {
            "Hoja": sheet(HEADER, CLIENT)
            .replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-16"?>')
            .encode("utf-16")
        }
    )


def of_openpyxl_with_a_table_and_validation():
    workbook = Workbook()
    workbook.active.append(FIELDS)
    workbook.active.append(ANA)
    workbook.active.auto_filter.ref = "A1:G2"
    workbook.active.freeze_panes = "A2"
    rule = DataValidation(type="list", formula1='"DNI,CE,PASAPORTE"')
    workbook.active.add_data_validation(rule)
    rule.add("B2:B1048576")
    workbook.active["A1"].hyperlink = "https://example.com/"
    workbook.active.merge_cells("J1:K1")
    return saved(workbook)


def with_references_in_reverse():
    cells = [
        f'<c r="{letter}2" t="inlineStr"><is><t>{each}</t></is></c>'
        for letter, each in zip("ABCDEFG", ANA, strict=True)
    ]
    return book({"Hoja": sheet(HEADER, row(*reversed(cells), r="2"))})


def with_hidden_columns():
    hidden = '<cols><col min="1" max="3" hidden="1"/></cols><sheetData>'
    return book({"Hoja": sheet(HEADER, CLIENT).replace("<sheetData>", hidden)})


@pytest.mark.parametrize(
    "made",
    [
        strict,
        with_prefixes,
        with_rich_and_shared_texts,
        with_broken_styles,
        with_absolute_targets_and_backslashes,
        in_utf_16,
        of_openpyxl_with_a_table_and_validation,
        with_references_in_reverse,
        lambda: book({"Hoja": sheet(HEADER, CLIENT)}, prefix="libro/"),
        lambda: book({"Hoja": sheet(HEADER, CLIENT)}, compression=zipfile.ZIP_STORED),
        lambda: book({"Hoja": sheet(HEADER, CLIENT)}, compression=zipfile.ZIP_BZIP2),
        lambda: book(
            {
                "Hoja": sheet(HEADER, CLIENT).replace(
                    "<sheetData>", '<cols><col min="1" max="3" hidden="1"/></cols><sheetData>'
                )
            }
        ),
    ],
    ids=lambda made: made.__name__,
)
def test_what_excel_opens_is_read(made):
    assert rows(made()) == [(2, ANA)]


def test_cells_of_extensions_are_not_cells_of_the_sheet():
    extension = (
        '<extLst><ext><x14:row xmlns:x14="x"><x14:c><x14:v>9</x14:v></x14:c></x14:row></ext></extLst></worksheet>'
    )
    assert rows(book({"Hoja": sheet(HEADER, CLIENT).replace("</worksheet>", extension)})) == [(2, ANA)]


# --- what is not read says what to do ---


def zip_of(**parts):
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as file:
        for name, contents in parts.items():
            file.writestr(name.replace("__", "/").replace("_dot_", "."), contents)
    return into.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("data", "kind", "what_to_do"),
    [
        (OLE + "Workbook".encode("utf-16-le"), "Excel antiguo (.xls)", "Guardar como"),
        (b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(100), "Excel antiguo (.xls)", "Guardar como"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "tiene contraseña", "borre la contraseña"),
        (OLE + "WordDocument".encode("utf-16-le"), "Word", "Copie la tabla"),
        (zip_of(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "OpenDocument (.ods)", "Guardar como"),
        (zip_of(Index__Document_dot_iwa="x"), "Numbers", "Exportar a, Excel"),
        (zip_of(xl__workbook_dot_bin="x"), ".xlsb", "Guardar como"),
        (zip_of(word__document_dot_xml="x"), "Word", "Copie la tabla"),
        (zip_of(clientes_dot_xlsx="x"), "carpeta comprimida", "Descomprímala"),
        (b"%PDF-1.7\n", "PDF", "Guardar como"),
        (b"<html><body><table><tr><td>correo</td></tr></table>", "página web", "Guardar como"),
        (b"\xef\xbb\xbf\r\n<TABLE border=1>", "página web", "Guardar como"),
        ("<html>".encode("utf-16"), "página web", "Guardar como"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>', "XML 2003", "Guardar como"),
        (b"MIME-Version: 1.0\r\n", "página web", "Guardar como"),
        (b"{\\rtf1", "RTF", "Copie la tabla"),
        (b"\x89PNG\r\n\x1a\n", "imagen", "Guardar como"),
        (b"Rar!\x1a\x07", "comprimido", "Descomprímalo"),
        (b"ID;PWXL;N;E", "SYLK", "Guardar como"),
        (bytes(range(256)) * 4, "No es XLSX ni CSV", "CSV UTF-8"),
        (book({"Hoja": "<worksheet"}), "dañado o protegido", "Guardar como"),
        (book({}), "dañado o protegido", "Guardar como"),
    ],
)
def test_a_file_that_is_not_read_says_what_it_is_and_what_to_do(data, kind, what_to_do):
    with pytest.raises(WrongFile) as refused:
        read_list(data)
    assert kind in str(refused.value)
    assert what_to_do in str(refused.value)


def test_a_zip_with_a_password_says_so():
    data = bytearray(book({"Hoja": sheet(HEADER, CLIENT)}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + at] |= 1  # the flag of an encrypted part
            place = data.find(signature, place + 4)
    with pytest.raises(WrongFile, match="tiene contraseña"):
        read_list(bytes(data))
