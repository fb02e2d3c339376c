"""Markdown of the guide: hostile text stays text, anchors are GitHub's, links lead only to what is served."""

import pytest

from external_api.guide.chapters import url_of_path
from external_api.guide.markdown import render


def rendered(text, public_url="https://aval.pe"):
    return render(text, resolve=lambda path: url_of_path(frozenset({"README", "3-uno"}), path), public_url=public_url)


def html_of(text):
    return rendered(text).html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "<!-- x --><iframe src='//evil.example'></iframe>",
        "# <svg onload=alert(1)>",
        "|a|\n|---|\n|<script>x</script>|",
        "```<script>\n</code></pre><script>\n```",
        "    </code></pre><script>alert(1)</script>",
        "`</code><script>`",
        '[x](<"onmouseover="alert(1)>)',
        '[x](/referencia/ "a\\" onclick=\\"x")',
        "![<script>](x)",
        "&lt;script&gt;",
        '```" onclick="x\ny\n```',
    ],
)
def test_raw_html_is_text(text):
    html = html_of(text)
    for tag in ("<script", "<img", "<iframe", "<svg", "<!--", '" on'):
        assert tag not in html


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#106;avascript:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "data:image/svg+xml,x",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("shape", ["[x]({})", "[x](<{}>)", "![x]({})", "[x][y]\n\n[y]: {}", "<{}>"])
def test_links_that_run_something_are_no_links(link, shape):
    html = html_of(shape.format(link))
    assert "href" not in html
    assert "src=" not in html


@pytest.mark.parametrize(
    ("link", "href"),
    [
        ("3-uno.md", "/referencia/guia/3-uno/"),
        ("./3-uno.md", "/referencia/guia/3-uno/"),
        ("../guia/3-uno.md", "/referencia/guia/3-uno/"),
        ("/docs/guia/3-uno.md#a", "/referencia/guia/3-uno/#a"),
        ("3-uno.md#la-espera-entre-códigos", "/referencia/guia/3-uno/#la-espera-entre-c%C3%B3digos"),
        ("README.md", "/referencia/guia/"),
        ("#aquí", "#aqu%C3%AD"),
        ("/referencia/", "/referencia/"),
        ("https://example.com/x.md", "https://example.com/x.md"),
        ("mailto:a@example.com", "mailto:a@example.com"),
    ],
)
def test_links_lead_to_what_is_served(link, href):
    assert html_of(f"[**texto** y `más`]({link})") == (
        f'<p><a href="{href}"><strong>texto</strong> y <code>más</code></a></p>\n'
    )


@pytest.mark.parametrize(
    "link",
    [
        "../operator.md",
        "../../LICENSE",
        "../adr/",
        "2-otro.md",
        "3-uno",
        "3-uno.MD",
        "/docs/operator.md",
        "x/3-uno.md",
        ".",
    ],
)
def test_a_link_to_another_place_of_the_repository_is_its_text_alone(link):
    assert html_of(f"a [**b** c]({link}) [d](README.md)") == (
        '<p>a <strong>b</strong> c <a href="/referencia/guia/">d</a></p>\n'
    )


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("La espera entre códigos", "la-espera-entre-códigos"),
        ("`POST /client/:id/cancel` y `POST /client/:id/expire`", "post-clientidcancel-y-post-clientidexpire"),
        ("`POST /auth/login` y `/admin/…`", "post-authlogin-y-admin"),
        ("3. InformaPerú", "3-informaperú"),
        ("¿Qué? ¡Así!", "qué-así"),
        ("A - B", "a---b"),
        ("con_guion_bajo y **negrita**", "con_guion_bajo-y-negrita"),
        ("un [enlace](README.md) aquí", "un-enlace-aquí"),
        ("Ñandú G̃ 漢字 x²", "ñandú-g̃-漢字-x"),
        ("a &amp; b \\* c", "a--b--c"),
        ("<b>x</b>", "bxb"),
    ],
)
def test_anchors_are_those_of_github(heading, anchor):
    page = rendered(f"## {heading}\n")
    assert [each.anchor for each in page.headings] == [anchor]
    assert f'<h2 id="{anchor}">' in page.html


def test_headings_of_the_same_words_have_anchors_of_their_own():
    page = rendered("# a\n\n## a\n\n## a 1\n\n## a-1\n\n### a\n")
    assert [each.anchor for each in page.headings] == ["a", "a-1", "a-1-1", "a-1-2", "a-2"]


def test_tables_and_examples_scroll_in_boxes_that_the_keyboard_reaches():
    html = html_of("|a|b|\n|:-:|--:|\n|1|2|\n\n```sh\nx\n```\n")
    assert '<div class="table" tabindex="0" role="group" aria-label="Tabla">\n<table>' in html
    assert '<pre tabindex="0" role="group"' in html
    assert '<td class="to-center">1</td>' in html
    assert "style=" not in html


def test_the_url_is_set_where_the_guide_sets_it_and_nowhere_else():
    text = "```sh\nexport URL=http://localhost:8000\nexport URLS=1\necho export URL=x\n```\n\nexport URL=z\n"
    html = html_of(text)
    assert "<code>export URL=https://aval.pe\nexport URLS=1\necho export URL=x\n</code>" in html
    assert "<p>export URL=z</p>" in html


def test_a_public_url_of_odd_characters_is_taken_as_it_is():
    assert (
        "export URL=https://a\\1.pe/&lt;x&gt;&amp;\n"
        in rendered("```sh\nexport URL=x\n```\n", public_url="https://a\\1.pe/<x>&").html
    )
