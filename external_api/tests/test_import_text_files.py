"""CSV as Excel and its users write it: any of its encodings and separators, and nothing wrong in silence."""

import pytest

from external_api.client_import.columns import FIELDS
from external_api.client_import.limits import WrongFile
from external_api.client_import.spreadsheets import read

HEADER = ",".join(FIELDS)
JOSÉ = ("José Núñez", "DNI", "45678912", "987654321", "C-1", "Categoría", "jose@dominio.pe")
LIST = f"{HEADER}\r\n{','.join(JOSÉ)}\r\n"


def read_list(data):
    return read(data if isinstance(data, bytes) else data.encode(), at_most=10_000, too_many="Demasiados clientes.")


def rows(data):
    return [(each.number, tuple(each.cells)) for each in read_list(data).rows if not each.faults]


def separated(by):
    return LIST.replace(",", by)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp850", "mac_roman"]
)
def test_every_encoding_and_separator_of_excel_is_read(encoding, separator):
    found = read_list(separated(separator).encode(encoding))
    assert [(each.number, tuple(each.cells), list(each.faults)) for each in found.rows] == [(2, JOSÉ, [])]
    assert "separado por" in found.source


def test_a_mark_in_either_order_of_utf_16_is_read():
    assert rows(b"\xfe\xff" + LIST.encode("utf-16-be")) == [(2, JOSÉ)]


@pytest.mark.parametrize("said", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;;;;;", "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_the_line_that_names_the_separator_is_obeyed_and_not_counted(said, end):
    assert rows(said + end + separated(";")) == [(2, JOSÉ)]
    assert rows(f"sep=~{end}{separated('~')}") == [(2, JOSÉ)]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_end_of_line_is_read(end):
    assert rows(LIST.replace("\r\n", end)) == [(2, JOSÉ)]


def test_a_separator_inside_texts_is_not_taken_for_the_separator():
    data = f"Lista; enero; febrero, y marzo;\n{separated(';')}".replace("Categoría", '"a, b, c, d"')
    assert rows(data) == [(3, (*JOSÉ[:5], "a, b, c, d", JOSÉ[6]))]


@pytest.mark.parametrize(
    "name",
    [
        "Correo electrónico",
        "CORREO ELECTRONICO",
        " correo  electrónico ",
        "E-mail",
        "Correo:",
        "Correo (obligatorio)",
        "correo*",
        "Ｃorreo",
    ],
)
def test_columns_are_recognised_as_people_write_them(name):
    assert rows(LIST.replace("correo", name)) == [(2, JOSÉ)]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("Nombres y apellidos", "nombre"),
        ("Tipo de documento", "tipo_documento"),
        ("N° de documento", "numero_documento"),
        ("Nro. Documento", "numero_documento"),
        ("Teléfono celular", "celular"),
        ("Código  Externo", "codigo_externo"),
        ("CODIGOEXTERNO", "codigo_externo"),
        ("Perfil", "perfil"),
    ],
)
def test_other_columns_too(name, column):
    assert rows(LIST.replace(column, name)) == [(2, JOSÉ)]


def test_two_spellings_of_one_column_are_two_columns_too_many():
    with pytest.raises(WrongFile, match="La columna correo está repetida"):
        read_list("correo,Correo electrónico,perfil,codigo_externo\na@b.pe,,V,C\n")


@pytest.mark.parametrize("title", ["Banco Andino", "Clientes;;;", ",,,Lista de enero", "correo del área: x@y.pe"])
def test_titles_may_stand_above_the_columns(title):
    found = read_list(f"{title}\n\n{LIST}")
    assert [(each.number, tuple(each.cells)) for each in found.rows] == [(4, JOSÉ)]
    assert found.notes == ["Los nombres de las columnas están en la fila 3; lo de arriba no se lee."]


def test_after_too_many_titles_the_columns_are_not_found():
    with pytest.raises(WrongFile, match="Columnas desconocidas"):
        read_list("título\n" * 20 + LIST)


def test_an_unquoted_comma_is_a_fault_of_its_row_alone():
    data = "correo,nombre,codigo_externo,perfil\na@b.pe,Torres, Ana Luz,C-900,VIP\nb@b.pe,Ana Torres,C-901,VIP\n"
    found = read_list(data).rows
    assert [list(each.faults) for each in found] == [
        ["Tiene 1 celda más que columnas: puede haber una coma sin comillas."],
        [],
    ]
    assert [list(each.faults) for each in read_list(data.replace("VIP\nb", "VIP,,,\nb")).rows][1] == []


def faulty(field, value):
    values = dict(zip(FIELDS, JOSÉ, strict=True)) | {field: f'"{value}"'}
    [found] = read_list(f"{HEADER}\n{','.join(values.values())}\n").rows
    return list(found.faults)


@pytest.mark.parametrize("field", ["codigo_externo", "perfil", "nombre"])
@pytest.mark.parametrize(
    "value",
    [
        *("#N/A", "#N/D", "#REF!", "#¡REF!", "#VALUE!", "#¡VALOR!", "#DIV/0!", "#¡DIV/0!", "#NAME?", "#¿NOMBRE?"),
        *("#NUM!", "#¡NUM!", "#NULL!", "#¡NULO!", "#SPILL!", "########", "1,23457E+15", "9.87654E+08", "1E-05"),
        *("VERDADERO", "FALSE", "ene-26", "Jan-26", "12-ene", "3-feb-2026", "1/05/2026", "12/01/26", "2026-01-12"),
        *("2026-01-12 00:00:00", "nan", "None", "NULL", "<NA>", "inf", "=A1&B1", "=1+1", "VIP_x000D_", "a_x000a_b"),
        *("JosÃ©", "Ã\x91andú", "Categor\ufffda", "donâ€™t"),
    ],
)
def test_remains_of_errors_numbers_dates_and_encodings_are_faults(field, value):
    [fault] = faulty(field, value)
    assert fault.startswith(f"{field}: ")


@pytest.mark.parametrize(
    "value",
    [
        "C-1",
        "#1",
        "A#B",
        "1E5",
        "E+10",
        "ENE-26",
        "12-34",
        "2026-1",
        "VERDE",
        "X=1",
        "x_y_z",
        "_x12_",
        "Ñandú",
        "São",
        "Â B",
        "Inf.",
        "1/2",
    ],
)
def test_codes_that_only_look_like_them_are_none(value):
    assert faulty("codigo_externo", value) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [("'00123", "00123"), ('=""00123""', "00123"), ("00123", "00123"), ("'=1+1", "=1+1"), ("'+51", "+51")],
)
def test_zeros_that_were_kept_by_a_trick_are_kept(written, meant):
    values = dict(zip(FIELDS, JOSÉ, strict=True)) | {"codigo_externo": f'"{written}"'}
    assert rows(f"{HEADER}\n{','.join(values.values())}\n")[0][1][4] == meant


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("Dni", "45678912", ("DNI", "45678912")),
        ("D.N.I.", "45.678.912", ("DNI", "45678912")),
        ("dni", "45 678 912", ("DNI", "45678912")),
        ("DNI", "40000001-3", ("DNI", "40000001")),
        ("DNI", "40000001-4", ("DNI", "40000001-4")),  # not its check character
        ("Documento Nacional de Identidad", "45678912", ("DNI", "45678912")),
        ("Carné de extranjería", "001234567", ("CE", "001234567")),
        ("C.E.", "001-234-567", ("CE", "001234567")),
        ("Carnet Extranjeria", "001234567", ("CE", "001234567")),
        ("Pasaporte", "AB 123456", ("PASAPORTE", "AB123456")),
        ("RUC", "20123456789", ("RUC", "20123456789")),
        ("", "45.678.912", ("", "45.678.912")),
    ],
)
def test_documents_are_read_as_people_write_them(kind, written, meant):
    data = f"{HEADER}\n,{kind},{written},,C,V,a@b.pe\n"
    assert rows(data)[0][1][1:3] == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("987 654 321", "987654321"),
        ("987-654-321", "987654321"),
        ("+51 987 654 321", "987654321"),
        ("51987654321", "987654321"),
        ("(51) 987654321", "987654321"),
        ("01 234 5678", "01 234 5678"),
        ("987654321 casa", "987654321 casa"),
    ],
)
def test_phones_are_read_as_people_write_them(written, meant):
    assert rows(f"{HEADER}\n,,,{written},C,V,a@b.pe\n")[0][1][3] == meant
