"""HTML of a campaign's mail: the frame around a fragment, and a footer that is always in the visible body."""

import re

import pytest

from messaging.campaigns.page import framed, unclosed_in, with_footer

FOOTER = "[pie]"
PLACES = {
    "<html><body><p>x</p></BODY></HTML>": "<html><body><p>x</p>[pie]</BODY></HTML>",
    "<html><body><p>x</p></Body\n></html>": "<html><body><p>x</p>[pie]</Body\n></html>",
    "<body>x<!--[if mso]></body><![endif]--></body>": "<body>x<!--[if mso]></body><![endif]-->[pie]</body>",
    "<body>x</body><!--[if mso]></body><![endif]-->": "<body>x[pie]</body><!--[if mso]></body><![endif]-->",
    "<!--[if !mso]><!--><p>x</p><!--<![endif]--></body>": "<!--[if !mso]><!--><p>x</p><!--<![endif]-->[pie]</body>",
    "<body>x<script>'</body>'</script></body>": "<body>x<script>'</body>'</script>[pie]</body>",
    "<body>x<style>/*</body>*/</style></body>": "<body>x<style>/*</body>*/</style>[pie]</body>",
    "<body>x<template></body></template>": "<body>x<template></body></template>[pie]",
    "<body>x<textarea></body></textarea></body>": "<body>x<textarea></body></textarea>[pie]</body>",
    "<body>x<a title='</body>'>y</a></body>": "<body>x<a title='</body>'>y</a>[pie]</body>",
    "<body>x<!--></body>": "<body>x<!-->[pie]</body>",
    "<body>x<!-- y --!></body>": "<body>x<!-- y --!>[pie]</body>",
    "<body>x<![CDATA[</body>]]></body>": "<body>x<![CDATA[</body>]]>[pie]</body>",
    "<p>x": "<p>x[pie]",
    "<p>x &amp": "<p>x &amp[pie]",
    "<html>x</html>": "<html>x[pie]</html>",
    "<body>1</body><body>2</body>": "<body>1</body><body>2[pie]</body>",
    # what is not closed would hide it
    "<body><div style='display:none'>x</body>": "<body><div style='display:none'>x</div>[pie]</body>",
    "<table><tr><td><b>x": "<table><tr><td><b>x</b></table>[pie]",
    "x<select><option>y": "x<select><option>y</select>[pie]",
    "<details><p>x": "<details><p>x</details>[pie]",
    "<p>x</p><!-- y": "<p>x</p>[pie]<!-- y",
    "<body><p>x</p><style>a {}</body>": "<body><p>x</p>[pie]<style>a {}</body>",
    "<div>x<title>y</div></body>": "<div>x</div>[pie]<title>y</div></body>",
    "<p>x</p><a href='y": "<p>x</p>[pie]<a href='y",
}


@pytest.mark.parametrize("page", PLACES)
def test_the_footer_is_in_the_visible_body(page):
    assert with_footer(page, FOOTER) == PLACES[page]


@pytest.mark.parametrize("page", PLACES)
def test_nothing_that_was_typed_is_lost(page):
    made = with_footer(page, FOOTER)
    head, tail = made.split(FOOTER)
    assert page.endswith(tail)
    assert re.sub(r"(</\w+>)+$", "", head) in page or head in page


@pytest.mark.parametrize("typed", ["<p>Hola</p>", "Hola", "<!-- nota --><div>x</div>", "<style>a {}</style><p>x</p>"])
def test_a_fragment_gets_language_title_and_viewport(typed):
    page = framed(typed, title="Oferta &amp; más")
    assert page.startswith('<!doctype html>\n<html lang="es-PE">')
    assert "<title>Oferta &amp; más</title>" in page
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert f">\n{typed}\n</body>" in page


@pytest.mark.parametrize(
    "typed", ["<!DOCTYPE html><p>x", "<HTML><p>x</HTML>", "<body bgcolor=white>x</body>", "\n <!-- a --><html>"]
)
def test_a_whole_page_stays_as_it_is(typed):
    assert framed(typed, title="x") == typed


def test_a_page_in_a_comment_is_no_page():
    assert framed("<!-- <html><body> --><p>x</p>", title="x").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("typed", "unclosed"),
    [
        ("<p>x", ""),
        ("<p>3 < 4 y 5 > 4", ""),
        ("x<!-- y", "<!--"),
        ("x<style>y", "<style>"),
        ("x<TITLE>y", "<title>"),
        ("x<a href='", "<"),
        ("x &am", ""),
        ("", ""),
    ],
)
def test_what_a_page_ends_in_is_told(typed, unclosed):
    assert unclosed_in(typed) == unclosed
