"""Spanish of the admin: the compiled catalogue is up to date and has every text of django-unfold."""

import ast
import gettext as gnu
import re
import struct
from pathlib import Path

import pytest
import unfold
from django.conf import settings
from django.utils import translation
from django.utils.translation.template import templatize

FOLDER = Path(settings.BASE_DIR) / "locale" / "es_MX" / "LC_MESSAGES"
NOT_INSTALLED = {
    "constance",
    "forms",
    "guardian",
    "import_export",
    "inlines",
    "location_field",
    "simple_history",
    "unfold_crispy",
}
THE_SAME_IN_BOTH = {"General", "No"}


def calls(source):
    """Texts of each call for a translation."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if name in ("_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield tuple(texts[:2])


def said_by_unfold():
    root = Path(unfold.__file__).parent
    for path in root.rglob("*"):
        if NOT_INSTALLED & set(path.relative_to(root).parts):
            continue
        if path.suffix == ".py":
            yield from calls(path.read_text())
        elif path.suffix == ".html":
            for found in re.finditer(r"\b(?:gettext|ngettext|_)\((.*?)\)(?=\s|$)", templatize(path.read_text()), re.S):
                yield from calls(found[0])


def test_nothing_that_unfold_says_is_left_in_english():
    said = set(said_by_unfold())
    assert len(said) > 80
    with translation.override(settings.LANGUAGE_CODE):
        english = []
        for texts in said - {(text,) for text in THE_SAME_IN_BOTH}:
            for number in (1, 2):
                answer = translation.ngettext(*texts, number) if len(texts) == 2 else translation.gettext(texts[0])
                if answer in texts:
                    english.append(texts)
    assert english == []


def written():
    """msgid (with its plural) -> msgstr, read from the .po file as GNU gettext reads it."""
    entries, entry, part = {}, {}, ""
    for line in [*(FOLDER / "django.po").read_text().splitlines(), ""]:
        if line.startswith("#"):
            continue
        opening = re.match(r'(msgid_plural|msgid|msgstr(?:\[\d\])?) (".*")$', line)
        if opening:
            part = opening[1]
            entry[part] = ast.literal_eval(opening[2])
        elif line.startswith('"'):
            entry[part] += ast.literal_eval(line)
        elif entry:
            key = "\0".join(entry[name] for name in ("msgid", "msgid_plural") if name in entry)
            entries[key] = "\0".join(value for name, value in entry.items() if name.startswith("msgstr"))
            entry = {}
    return entries


def compiled():
    raw = (FOLDER / "django.mo").read_bytes()
    magic, _, count, ids, texts = struct.unpack("<5I", raw[:20])
    assert magic == 0x950412DE

    def at(table, number):
        length, offset = struct.unpack("<2I", raw[table + 8 * number : table + 8 * number + 8])
        return raw[offset : offset + length].decode()

    return {at(ids, number): at(texts, number) for number in range(count)}


def test_the_compiled_catalogue_is_up_to_date():
    assert compiled() == written()
    assert len(compiled()) > 80
    with (FOLDER / "django.mo").open("rb") as file:
        assert gnu.GNUTranslations(file).gettext("History") == "Historial"


@pytest.mark.parametrize("msgid", [key for key in written() if key and "%(" in key])
def test_a_translation_keeps_its_placeholders(msgid):
    for text in written()[msgid].split("\0"):
        assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", msgid))
