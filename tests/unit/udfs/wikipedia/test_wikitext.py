"""Wikitext to plain text: what goes, what stays, and pages made to make a parser run away."""

import bz2
import os
import random
import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import mwparserfromhell
import pytest
from mwparserfromhell.parser import ParserError

from udfs.wikipedia.articles import ArticleRules, read_article
from udfs.wikipedia.ngrams import token_runs
from udfs.wikipedia.pages import as_utf8, page_fragments, parse_page
from udfs.wikipedia.parse_cost import LARGEST_PARSE_COST, parse_cost
from udfs.wikipedia.wikitext import (
    DROPPED_TAGS,
    FILE_NAMESPACES,
    is_disambiguation,
    is_redirect,
    plain_text,
)

DATA = os.environ.get("METACLIP_TEST_DATA")


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("a {{infobox|name={{nested|x}}|y=z}}b", "a b"),
        ("a {{{argument|default}}}b", "a b"),
        ("a <!-- hidden [[link]] -->b", "a b"),
        ("{| class=x\n! head\n|-\n| cell\n|}after", "after"),
        (":{| class=x\n|-\n|colspan=2 align=left|a bird\n|= three [[fish]]es\n|}\nafter", "\nafter"),
        ("before\n: :\t{|\n| cell\n|}\nafter", "before\n\nafter"),
        ("{|\n| cell\n::{|\n| inner\n|}\n| cell\n|}after", "after"),
        ("{{box|\n:{|\n| cell\n|}\n}}after", "after"),
        ("*{|\n: no table {|", "{|\n no table {|"),
        ("fact<ref name=x>{{cite|a}}</ref> and<ref name=x/> more", "fact and more"),
        ("[[File:a.jpg|thumb|a [[caption]]]]text", "text"),
        ("[[Category:Dogs]]text [[:Category:Cats]]", "text Category:Cats"),
        ("[[dog|dogs]] and [[cat]]s", "dogs and cats"),
        ("see [https://example.org the page] or https://example.org/x now", "see the page or  now"),
        ("'''bold''' ''slanted''", "bold slanted"),
        ("== Heading ==\n* item\n: deeper", " Heading \n item\n deeper"),
        ("AT&amp;T caf&#233; &#x41;", "AT&T café A"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<math>x^2</math>y<nowiki>[[z]]</nowiki>", "y[[z]]"),
        ("__NOTOC__text", "text"),
        ("''unbalanced<ref>''a</ref> quotes'''", "unbalanced quotes"),
        ("'''''both'''''", "both"),
        ("<small>kept</small>", "kept"),
    ],
)
def test_markup_goes_and_text_stays(wikitext, text):
    assert plain_text(wikitext) == text


def test_namespaces_of_the_wikis_own_language_are_dropped():
    assert plain_text("[[Файл:куче.jpg|мини|надпис]]текст", FILE_NAMESPACES | {"файл"}) == "текст"


@pytest.mark.parametrize("text", ["#REDIRECT [[A]]", " #redirect[[A]]", "#Redirect [[A]]"])
def test_redirects_are_known_by_their_text(text):
    assert is_redirect(text)
    assert not is_redirect(f"see {text}")


def test_disambiguation_pages_are_known():
    assert is_disambiguation("Mercury (disambiguation)", "")
    assert is_disambiguation("Mercury", "* a\n{{disambiguation|geo}}")
    assert is_disambiguation("Mercury", "{{Disambig}}")
    assert is_disambiguation("Меркурий", "{{Пояснение}}", {"пояснение"})
    assert not is_disambiguation("Mercury", "{{about|x|y|Mercury (disambiguation)}}")


BOMBS = {
    "templates": "{{a|" * 100_000,
    "links": "[[a|" * 100_000,
    "tags": "<div>" * 100_000,
    "tags of any name": "<1>" * 20_000,
    "tables": "{|\n" * 50_000,
    "indented tables": ":{|\n" * 50_000,
    "comments": "<!--" * 50_000,
    "comments in templates": "{{a|<!--" * 300,
    "templates and links": "{{a|[[b|" * 50_000,
    "tags across links": "[[a|<b>]] </b> " * 3000,
    "tags across templates": "{{a|<b>}} </b> " * 3000,
    "arguments": "{{{a|b}} " * 3000,
    "list items in templates": "{{a|<li>}} " * 3000,
    "quotation marks in tags": '<a b="></a> ' * 3000,
    "tags without an end": "<a b " * 3000,
    "addresses within addresses": "[http://a " + "[[http://a " * 40 + "]",
    "tables within cells' attributes": "{|\n|{{a|\n" * 14 + "x" * 5000 + "\n}}|x\n|}" * 14,
    "ends in raw text": "<nowiki>" + "</" * 10_000,
    "signs of equality": "=a" * 20_000,
    "zeros": "&#" + "0" * 10_000 + "65;",
}


def test_a_page_over_the_budget_is_left_out():
    assert read_article(page_xml("Bomb", BOMBS["templates"]), ArticleRules()) == ("page.over_budget", "Bomb")


@pytest.mark.parametrize("wikitext", BOMBS.values(), ids=BOMBS)
def test_pages_that_would_run_away_are_over_budget(wikitext, monkeypatch):
    # A tenth, and so ten times as fast.
    monkeypatch.setattr("udfs.wikipedia.parse_cost.LARGEST_PARSE_COST", LARGEST_PARSE_COST // 10)
    assert parse_cost(wikitext) > LARGEST_PARSE_COST // 10


@pytest.mark.parametrize("piece", ["]", "|}", "</", "<a b=' ", "\n=", "{{", "<nowiki></", "[http://", "{| ", "__A"])
def test_the_cost_of_any_repeat_is_known_in_time(piece):
    text = piece * (64 * 1024 // len(piece))
    started = time.process_time()
    parse_cost(text)
    is_redirect(text)
    is_disambiguation("A", text)
    assert time.process_time() - started < 2


MARKS = [
    *("{{", "}}", "{{{", "}}}", "[[", "]]", "[[x|", "{{x|", "\n{|", "\n|}", "\n|", "\n|-", "||", "<i>", "</i>", "<li>"),
    *(
        "</li>",
        "<br>",
        "<ref>",
        "</ref>",
        "<b",
        "</",
        "<!--",
        "-->",
        "[http://x ",
        "]",
        "\n==",
        "==",
        ":",
        "\n;",
        "\n*",
    ),
    *("\n*", "|", "=", "&amp;", "<nowiki>", "</nowiki>", "text", " "),
]


def test_pages_within_the_budget_are_read_in_time():
    generator = random.Random(1)
    for _ in range(20):
        unit = "".join(generator.choice(MARKS) for _ in range(generator.randrange(1, 6)))
        text = unit * (1500 // len(unit))
        if parse_cost(text) <= LARGEST_PARSE_COST // 10:
            started = time.process_time()
            with suppress(ParserError):
                plain_text(text)
            assert time.process_time() - started < 2, unit


def test_deep_but_closed_templates_are_read():
    assert plain_text("a " + "{{x|" * 30 + "y" + "}}" * 30 + "b") == "a b"


def test_closed_markup_costs_nothing():
    markup = "{{a|[[b]]}} <ref>x</ref><br> [https://x y]\n{|\n|a [[b|{{c}}]]\n|}\n<!-- x --> <b>c</b> {{{d|{{e}}}}}"
    assert parse_cost(markup * 1000) == 0
    assert parse_cost("x < y and [[a]] [b] {c} 'd' P<0.05 <ref name=e/> <math>a<b</math> &amp;") < 1000


@pytest.mark.parametrize(
    ("wikitext", "reason"),
    [
        ("x" * (10 * 2**20), "page.too_large"),
        ("  \n", "page.no_text"),
        ("#REDIRECT [[A]]", "page.skipped_redirect"),
    ],
)
def test_pages_that_do_not_count_have_a_reason(wikitext, reason):
    assert read_article(page_xml("A", wikitext), ArticleRules()) == (reason, "A")


def page_xml(title, wikitext, namespace=0):
    text = wikitext.replace("&", "&amp;").replace("<", "&lt;")
    return f"<page><title>{title}</title><ns>{namespace}</ns><revision><text>{text}</text></revision></page>".encode()


def independent_text(wikitext):
    """The same rules over mwparserfromhell's tree of nodes, which the flat reading must equal."""
    lines = [line.lstrip(": \t") if line.lstrip(": \t")[:2] == "{|" else line for line in wikitext.split("\n")]
    text = rendered(mwparserfromhell.parse("\n".join(lines), skip_style_tags=True))
    return re.sub("''+", "", re.sub("__[A-Z]+__", "", text))


def rendered(code):
    return "" if code is None else "".join(rendered_node(node) for node in code.nodes)


def rendered_node(node):
    readers = {
        "Text": lambda text: text.value,
        "HTMLEntity": lambda entity: entity.normalize(),
        "Heading": lambda heading: rendered(heading.title),
        "ExternalLink": lambda link: rendered(link.title),
        "Wikilink": rendered_link,
        "Tag": rendered_tag,
    }
    return readers.get(type(node).__name__, lambda _: "")(node)


def rendered_link(link):
    prefix, colon, _ = rendered(link.title).partition(":")
    if colon and prefix.strip().lower() in FILE_NAMESPACES:
        return ""
    return rendered(link.text) if link.text is not None else rendered(link.title).lstrip().removeprefix(":")


def rendered_tag(tag):
    name = str(tag.tag).strip().lower()
    if name in DROPPED_TAGS:
        return ""
    return "\n" if name in {"br", "hr"} else rendered(tag.contents)


@pytest.mark.skipif(DATA is None, reason="METACLIP_TEST_DATA is not set")
def test_real_pages_are_far_below_the_budget():
    for name in ("enwiki-206-pages", "bgwiki-sample"):
        xml = bz2.decompress((Path(str(DATA)) / "wiki" / f"{name}.xml.bz2").read_bytes())
        pages = [parse_page(found) for found in page_fragments(as_utf8([xml]), Counter())]
        assert max(parse_cost(page.wikitext) for page in pages) < LARGEST_PARSE_COST // 10


@pytest.mark.skipif(DATA is None, reason="METACLIP_TEST_DATA is not set")
def test_real_articles_read_as_the_parsers_tree_does():
    xml = bz2.decompress((Path(str(DATA)) / "wiki" / "enwiki-206-pages.xml.bz2").read_bytes())
    pages = [parse_page(found) for found in re.findall(rb"<page>.*?</page>", xml, re.DOTALL)]
    articles = [page for page in pages if page.namespace == 0 and not page.is_redirect][:25]
    assert len(articles) == 25
    for page in articles:
        expected = list(token_runs(independent_text(page.wikitext)))
        assert list(token_runs(plain_text(page.wikitext))) == expected, page.title
