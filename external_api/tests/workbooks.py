"""Workbooks written by hand, part by part, as programs other than openpyxl write them."""

import io
import zipfile
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_MAIN = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_LINKS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def text(value: str) -> str:
    """Cell with its text inside."""
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else "<c/>"


def number(raw: str, style: int = 0) -> str:
    return f'<c s="{style}"><v>{raw}</v></c>'


def row(*cells: str, **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<row{said}>{''.join(cells)}</row>"


def sheet(*rows: str, main: str = MAIN) -> str:
    return f'<?xml version="1.0"?><worksheet xmlns="{main}"><sheetData>{"".join(rows)}</sheetData></worksheet>'


def styles(*formats: str) -> str:
    """A style for each number format; style 0 is General."""
    own = "".join(
        f'<numFmt numFmtId="{164 + at}" formatCode="{escape(each, {chr(34): "&quot;"})}"/>'
        for at, each in enumerate(formats)
    )
    uses = "".join(f'<xf numFmtId="{164 + at}"/>' for at in range(len(formats)))
    return (
        f'<styleSheet xmlns="{MAIN}"><numFmts>{own}</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        f'<cellXfs><xf numFmtId="0"/>{uses}</cellXfs></styleSheet>'
    )


def book(
    sheets: dict[str, str],
    *,
    hidden: tuple[str, ...] = (),
    main: str = MAIN,
    links: str = LINKS,
    prefix: str = "xl/",
    parts: dict[str, str | bytes] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """Workbook of these sheets by name; `parts` are added or take the place of others."""
    states = ("visible", "hidden")
    entries = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" state="{states[name in hidden]}" r:id="rId{at}"/>'
        for at, name in enumerate(sheets, start=1)
    )
    relations = "".join(
        f'<Relationship Id="rId{at}" Type="{links}/worksheet" Target="worksheets/s{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    whole: dict[str, str | bytes] = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="a" Type="{links}/officeDocument" '
        f'Target="{prefix}workbook.xml"/></Relationships>',
        f"{prefix}workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets>{entries}</sheets></workbook>',
        f"{prefix}_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{relations}</Relationships>',
        **{f"{prefix}worksheets/s{at}.xml": each for at, each in enumerate(sheets.values(), start=1)},
        **(parts or {}),
    }
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", compression) as file:
        for name, contents in whole.items():
            file.writestr(name, contents)
    return into.getvalue()
