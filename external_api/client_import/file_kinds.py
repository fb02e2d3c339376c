"""Kind of a file by its first bytes, and for kinds that are not read, what to do in Excel.

Names lie: `.xls` is often a web page, and a workbook with a password is no zip at all.
"""

import re
import zipfile
from io import BytesIO

from external_api.client_import.limits import WrongFile

SAVE_AS = "En Excel: Archivo, Guardar como, tipo «Libro de Excel (.xlsx)»; y súbalo otra vez."
ENCRYPTED = (
    "El archivo tiene contraseña. En Excel: Archivo, Información, Proteger libro, Cifrar con contraseña; "
    "borre la contraseña, guárdelo y súbalo otra vez."
)
NO_TABLE = f"No es XLSX ni CSV. Abra la lista en Excel. {SAVE_AS}"
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CSV_AGAIN = "En Excel: Archivo, Guardar como, tipo «CSV UTF-8»; y súbalo otra vez."

_BEGINNINGS = (
    (b"%PDF-", f"Es un PDF, que no se lee como tabla. Pida la lista en Excel, o ábrala en Excel. {SAVE_AS}"),
    (b"{\\rtf", f"Es un documento de texto (RTF). Copie la tabla en un libro de Excel. {SAVE_AS}"),
    (b"\xfd7zXZ\x00", "Es un archivo comprimido. Descomprímalo y suba la lista que contiene."),
    (b"7z\xbc\xaf", "Es un archivo comprimido. Descomprímalo y suba la lista que contiene."),
    (b"Rar!", "Es un archivo comprimido. Descomprímalo y suba la lista que contiene."),
    (b"\x1f\x8b", "Es un archivo comprimido. Descomprímalo y suba la lista que contiene."),
    (b"\x89PNG", f"Es una imagen. Pase la lista a un libro de Excel. {SAVE_AS}"),
    (b"\xff\xd8\xff", f"Es una imagen. Pase la lista a un libro de Excel. {SAVE_AS}"),
    (b"GIF8", f"Es una imagen. Pase la lista a un libro de Excel. {SAVE_AS}"),
    (b"\x09\x08", f"Es un libro de Excel antiguo (.xls). Ábralo. {SAVE_AS}"),
    (b"ID;P", f"Es una hoja en formato SYLK. Ábrala. {SAVE_AS}"),
    (b"MIME-Version:", f"Es una página web guardada desde Excel. Ábrala. {SAVE_AS}"),
    (b"PAR1", NO_TABLE),
    (b"SQLite format 3", NO_TABLE),
)
_OF_A_ZIP = (
    ("xl/workbook.bin", f"Es un libro binario de Excel (.xlsb). Ábralo. {SAVE_AS}"),
    ("index/document.iwa", "Es una hoja de Numbers. En Numbers: Archivo, Exportar a, Excel; y súbala otra vez."),
    ("index.zip", "Es una hoja de Numbers. En Numbers: Archivo, Exportar a, Excel; y súbala otra vez."),
    ("word/document.xml", f"Es un documento de Word. Copie la tabla en un libro de Excel. {SAVE_AS}"),
    ("ppt/presentation.xml", f"Es una presentación. Copie la tabla en un libro de Excel. {SAVE_AS}"),
)
_ODS = f"Es una hoja de OpenDocument (.ods). Ábrala en Excel o LibreOffice. {SAVE_AS}"
_SPREADSHEET_XML = re.compile(rb"<\?mso-application|urn:schemas-microsoft-com:office:spreadsheet")
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|head|body|table|meta|style|script|div|\?xml|!--)", re.I)


def is_zip(data: bytes) -> bool:
    return data.startswith(_ZIP)


def refuse_what_is_no_text(data: bytes) -> None:
    """Raises WrongFile, with what to do, for a file of a kind that is known and not read."""
    if data.startswith(_OLE):
        raise WrongFile(_of_an_ole_file(data))
    for beginning, text in _BEGINNINGS:
        if data.startswith(beginning):
            raise WrongFile(text)
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").replace(b"\x00", b"")  # of UTF-16, its ASCII
    start = start.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    if _SPREADSHEET_XML.search(start):
        raise WrongFile(f"Es una hoja de cálculo XML 2003. Ábrala en Excel. {SAVE_AS}")
    if _MARKUP.match(start):
        raise WrongFile(f"Es una página web con nombre de hoja de cálculo. Ábrala en Excel. {SAVE_AS}")


def refuse_other_zips(data: bytes) -> None:
    """Raises WrongFile for a zip that is no XLSX: OpenDocument, Numbers, Word, a compressed folder."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as parts:
            names = [part.filename.replace("\\", "/").lower() for part in parts.infolist()]
            kind = parts.open("mimetype").read(100) if "mimetype" in names else b""
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError, KeyError):
        return  # the reader of workbooks says that it is damaged
    if kind.startswith(b"application/vnd.oasis.opendocument"):
        raise WrongFile(_ODS)
    for name, text in _OF_A_ZIP:
        if name in names:
            raise WrongFile(text)
    if any(name.endswith((".xlsx", ".xls", ".csv", ".xlsm")) for name in names):
        raise WrongFile("Es una carpeta comprimida (ZIP). Descomprímala y suba la lista que contiene.")


def no_text() -> WrongFile:
    """For bytes that are no text in any encoding that Excel writes."""
    return WrongFile(f"No es XLSX ni CSV. Abra la lista en Excel. {_CSV_AGAIN}")


def _of_an_ole_file(data: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return ENCRYPTED
    if "WordDocument".encode("utf-16-le") in data:
        return f"Es un documento de Word. Copie la tabla en un libro de Excel. {SAVE_AS}"
    return f"Es un libro de Excel antiguo (.xls). Ábralo. {SAVE_AS}"
