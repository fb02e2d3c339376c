"""Partners' guide at /referencia/guia/: every chapter, every link and anchor in it, and what is no chapter."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from django.conf import settings
from django.test import Client

from external_api.openapi.generator import document

INDEX = "/referencia/guia/"
FILES = {path.stem: path.read_text() for path in sorted(settings.GUIDE_FOLDER.glob("*.md"))}
CHAPTERS = [name for name in FILES if name != "README"]
URLS = [INDEX, *(f"{INDEX}{name}/" for name in CHAPTERS)]
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.M | re.S)
pytestmark = pytest.mark.django_db


class Page(HTMLParser):
    """Links, ids, examples and title of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.relations: dict[str, str] = {}
        self.ids: list[str] = []
        self.examples: list[str] = []
        self.titles: list[str] = []
        self.styles: list[str] = []
        self.language = ""
        self._inside: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("a", "link"):
            self.links.append(given["href"])
        if tag == "a" and "rel" in given:
            self.relations[given["rel"]] = given["href"]
        if "id" in given:
            self.ids.append(given["id"])
        if "style" in given or tag in ("style", "script"):
            self.styles.append(tag)
        if tag == "html":
            self.language = given["lang"]
        if tag in ("pre", "title"):
            self._inside = self.examples if tag == "pre" else self.titles
            self._inside.append("")

    def handle_endtag(self, tag):
        if tag in ("pre", "title"):
            self._inside = None

    def handle_data(self, data):
        if self._inside is not None:
            self._inside[-1] += data


def page(url):
    answer = Client().get(url)
    assert answer.status_code == 200, url
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    return Page(answer.content.decode())


def test_every_chapter_is_served_with_a_trailing_slash_and_without():
    assert len(CHAPTERS) >= 6
    for url in URLS:
        answers = [Client().get(each) for each in (url, url.rstrip("/"))]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content


def test_every_chapter_has_its_title_and_language_and_nothing_that_its_policy_forbids():
    titles = set()
    for name, url in zip(["README", *CHAPTERS], URLS, strict=True):
        shown = page(url)
        heading = FILES[name].partition("\n")[0].removeprefix("# ")
        assert shown.titles[0].startswith(heading)
        assert shown.titles[0].endswith("Guía para empresas · Aval")
        assert (shown.language, shown.styles) == ("es-PE", [])
        titles |= set(shown.titles)
    assert len(titles) == len(URLS)


@pytest.mark.parametrize("url", URLS)
def test_every_link_leads_to_a_page_and_an_anchor_that_are_there(url):
    links = page(url).links
    assert len(links) > 3
    for link in links:
        target = urlsplit(urljoin(url, link))
        assert not target.netloc, "the guide names no other host"
        answer = Client().get(target.path)
        assert answer.status_code == 200, link
        if target.fragment:
            assert unquote(target.fragment) in page(target.path).ids, link
        answer.close()


def test_links_between_chapters_are_not_lost():
    assert set(URLS[1:]) <= set(page(INDEX).links)
    assert unquote(INDEX + "3-informaperu/#la-espera-entre-códigos") in map(unquote, page(URLS[5]).links)


@pytest.mark.parametrize("url", URLS)
def test_every_anchor_is_there_once(url):
    ids = page(url).ids
    assert sorted(set(ids)) == sorted(ids)


@pytest.mark.parametrize("name", CHAPTERS)
def test_examples_are_those_of_the_file_byte_for_byte(name):
    ours = f"export URL={settings.PUBLIC_URL}"
    printed = [re.sub("^export URL=.*$", ours, each, flags=re.M) for each in FENCE.findall(FILES[name])]
    assert page(f"{INDEX}{name}/").examples == printed
    assert printed or name == "6-preguntas"


def test_the_examples_call_this_installation(settings):
    settings.PUBLIC_URL = "https://aval.banco.pe"
    examples = page(f"{INDEX}1-introduccion/").examples
    assert examples[0].startswith("export URL=https://aval.banco.pe\nexport TOKEN=")


def test_chapters_are_read_one_after_another():
    for number, url in enumerate(URLS):
        wanted = {"prev": URLS[number - 1]} if number else {}
        if number + 1 < len(URLS):
            wanted["next"] = URLS[number + 1]
        assert page(url).relations == wanted


def test_the_tenth_chapter_follows_the_ninth(settings, tmp_path):
    for name in ("README", "10-diez", "9-nueve", "2-dos"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    settings.GUIDE_FOLDER = tmp_path
    seen = [INDEX]
    while following := page(seen[-1]).relations.get("next"):
        seen.append(following)
    assert seen == [INDEX, *(f"{INDEX}{name}/" for name in ("2-dos", "9-nueve", "10-diez"))]


def test_a_chapter_of_any_name_is_served_and_its_text_is_text(settings, tmp_path):
    (tmp_path / "README.md").write_text("# Guía\n\n[uno](7-códigos%20y%20más.md)\n")
    (tmp_path / "7-códigos y más.md").write_text("# <script>alert(1)</script> & más\n\n## <b>x</b>\n")
    settings.GUIDE_FOLDER = tmp_path
    link = next(each for each in page(INDEX).links if "7-" in each)
    html = Client().get(link).content.decode()
    assert "<script" not in html
    assert "<b>" not in html
    assert Page(html).titles[0].startswith("<script>alert(1)</script> & más ·")


NO_CHAPTERS = [
    "README",
    "readme",
    "nada",
    "3-informaperu.md",
    "3-INFORMAPERU",
    "..",
    "../1-introduccion",
    "..%2F..%2Foperator",
    "..%2f..%2fREADME",
    "%2e%2e/%2e%2e/operator",
    "....//operator",
    "/etc/passwd",
    "..%5C..%5Coperator",
    "3-informaperu/x",
    "3-informaperu//",
    "*",
    " ",
    "x" * 5000,
]


@pytest.mark.parametrize("name", NO_CHAPTERS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_other_names_are_not_found(name, slash):
    assert Client().get(INDEX + name + slash).status_code == 404


@pytest.mark.parametrize("url", URLS[:2])
def test_it_is_read_only(url):
    answer = Client().head(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer["Content-Length"]) == len(Client().get(url).content)
    for method in ("post", "put", "patch", "delete"):
        assert getattr(Client(), method)(url).status_code == 405


def test_an_installation_without_the_guide_says_so_in_its_log_and_has_no_such_page(settings, tmp_path, caplog):
    settings.GUIDE_FOLDER = tmp_path / "nowhere"
    http = Client()
    assert [http.get(url).status_code for url in URLS[:2]] == [404, 404]
    assert [each.message for each in caplog.records].count("the partners' guide is not installed") == 1
    assert http.get("/referencia/").status_code == 200


def test_the_reference_leads_to_it():
    assert f"]({INDEX})" in document()["info"]["description"]
    assert f'href="{INDEX}"' in Client().get("/referencia/").content.decode()
