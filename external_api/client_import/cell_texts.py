"""Texts of cells that are not what somebody meant to write: remains of errors, of numbers, of encodings; and values as
people write them, in the form of the contract.
"""

import re
import unicodedata

from clients.identity.documents import CE, DNI, PASSPORT, check_character_ok, shape_ok
from clients.identity.phones import mobile_ok, national

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]|'+[0-9]")
_UNDONE = re.compile(r"'+[=+\-@\t\r\n＝＋－＠0-9]")
_LITERAL = re.compile(r'="([^"]*)"')

_ERROR = re.compile(r"#(?:N/[AD]|[¡¿]?[A-ZÁÉÍÓÚÑ_/0-9]+[!?]|GETTING_DATA|OBTENIENDO_DATOS|#+)")
_ESCAPE = re.compile(r"_x[0-9A-Fa-f]{4}_")
_DAMAGED = re.compile("\ufffd|[ÃÂ][\u0080-\u00bf]|â\u20ac")
_ROUNDED = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,3}")
_MONTH = (
    "(?:[Ee]ne|[Ff]eb|[Mm]ar|[Aa]br|[Mm]ay|[Jj]un|[Jj]ul|[Aa]go|[Ss]ept?|[Ss]et|[Oo]ct|[Nn]ov|[Dd]ic"
    "|[Jj]an|[Aa]pr|[Aa]ug|[Dd]ec)"
)
"""In small letters or with a capital, as Excel writes them: `ENE-26` may be a code."""
_DATE = re.compile(
    rf"[0-9]{{1,2}}-{_MONTH}(?:-[0-9]{{2,4}})?|{_MONTH}-[0-9]{{2,4}}"
    r"|[0-9]{1,2}/[0-9]{1,2}/(?:[0-9]{2}|[0-9]{4})(?: [0-9: ]+)?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?"
)
_NO_VALUE = frozenset(
    {"nan", "NaN", "NAN", "inf", "-inf", "Infinity", "-Infinity", "NaT", "<NA>", "None", "NULL", "null"}
)
_BOOLEANS = frozenset({"VERDADERO", "FALSO", "TRUE", "FALSE"})

_TYPES = {
    **dict.fromkeys(("dni", "documentonacionaldeidentidad", "docnacionaldeidentidad"), DNI),
    **dict.fromkeys(
        ("ce", "carnedeextranjeria", "carnetdeextranjeria", "carneextranjeria", "carnetextranjeria", "carneext"), CE
    ),
    **dict.fromkeys(("pasaporte", "pasap", "pas", "passport"), PASSPORT),
}
_BETWEEN_DIGITS = re.compile(r"[ .\u00a0\u2010-\u2015-]+")
_PHONE = re.compile(r"\+?[0-9 ().\u00a0\u2010-\u2015-]+")


def neutral(cell: str) -> str:
    """The cell in a form that a spreadsheet shows without running it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def original(cell: str) -> str:
    """Inverse of `neutral`: it also takes off the apostrophe with which people keep the zeros of a number."""
    return cell[1:] if _UNDONE.match(cell) else cell


def typed(cell: str) -> str:
    """Text of a cell of CSV: `="00123"` is how the zeros of a number survive Excel."""
    literal = _LITERAL.fullmatch(cell)
    return literal[1] if literal else original(cell)


FORMULA = "es una fórmula: escriba su resultado"


def fault_of(text: str) -> str:
    """Why a text cannot be meant, in Spanish; "" where it can."""
    if text.isascii() and text.isalnum() and text not in _NO_VALUE and text not in _BOOLEANS:
        return ""
    for pattern, fault in _PATTERNS:
        if pattern.fullmatch(text):
            return fault
    if text in _NO_VALUE:
        return f"dice «{text}», que es la falta de un valor"
    if text in _BOOLEANS:
        return "es un valor lógico (VERDADERO o FALSO): escríbalo como texto"
    if _ESCAPE.search(text):
        return "tiene un carácter de control que no se pudo leer (_x…_): escríbalo otra vez"
    if _DAMAGED.search(text):
        return "tiene letras dañadas por otra codificación: guarde el archivo como «CSV UTF-8»"
    return ""


_PATTERNS = (
    (_ERROR, "es un error de Excel: escriba el valor"),
    (_ROUNDED, "es un número que Excel acortó (E+): dé formato de texto a la columna y escríbalo entero"),
    (_DATE, "es una fecha que puso Excel: dé formato de texto a la columna y escríbalo otra vez"),
)


def in_the_contracts_form(values: dict[str, str], numeric: frozenset[str]) -> None:
    """Put what people write into the form of the contract: `Dni`, `45.678.912`, `987 654 321`. What fits no form stays
    as it is, for the contract's rule to refuse. `numeric` names the fields whose cell is a number: its separators are
    its format's."""
    kind = _TYPES.get(_letters(values["tipo_documento"]), values["tipo_documento"])
    values["tipo_documento"] = kind
    values["numero_documento"] = _document_number(kind, values["numero_documento"])
    phone = values["celular"]
    if _PHONE.fullmatch(phone) and mobile_ok(national(phone)):
        values["celular"] = national(phone)
    for name in numeric & {"celular", "numero_documento"}:
        values[name] = _BETWEEN_DIGITS.sub("", values[name])


def _document_number(kind: str, number: str) -> str:
    """A DNI may carry its check character, which must be right."""
    together = _BETWEEN_DIGITS.sub("", number)
    if shape_ok(kind, together):
        return together
    if kind == DNI and len(together) == 9 and check_character_ok(together[:8], together[8]):
        return together[:8]
    return number


def _letters(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in bare.lower() if letter.isalpha())
