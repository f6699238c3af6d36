"""Wikitext to plain text, with a budget against pages on which a wikitext parser runs away."""

import html
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mwparserfromhell.parser import Parser, tokens

LARGEST_WIKITEXT_BYTES = 2 * 1024 * 1024
"""MediaWiki's own limit for a page ($wgMaxArticleSize)."""

LARGEST_PARSE_COST = 8_000_000
"""Characters that a parser may read in vain: some seconds at worst. See `parse_cost`."""

DROPPED_TAGS = frozenset(
    [
        "categorytree",
        "ce",
        "chem",
        "gallery",
        "graph",
        "hiero",
        "imagemap",
        "indicator",
        "inputbox",
        "mapframe",
        "maplink",
        "math",
        "ref",
        "references",
        "score",
        "script",
        "section",
        "source",
        "style",
        "syntaxhighlight",
        "table",
        "templatedata",
        "templatestyles",
        "timeline",
    ]
)
"""Tags that go with their content. Of every other tag the content stays."""

FILE_NAMESPACES = frozenset({"file", "image", "media", "category"})
"""Prefixes of links that go with their label, in lower case: valid in a wiki of any language."""

_LINE_TAGS = frozenset({"br", "hr"})
_UNCLOSED_BY_CUSTOM = frozenset(["br", "wbr", "hr", "meta", "link", "img", "li", "dt", "dd", "th", "td", "tr"])
_BEHAVIOUR_SWITCH = re.compile(r"__[A-Z]+__")
_SLANT_OR_BOLD = re.compile("'{2,}")
_REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|<>\[\]\n]{1,80})")
_DISAMBIGUATION_TEMPLATES = frozenset({"disambig", "disamb", "disam", "dab", "hndis", "geodis", "hospitaldis"})
_BRACKET = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<!--|-->|\[(?=[a-z]{3,8}:|//)|\]|<(?P<close>/?)(?P<tag>[a-zA-Z]+)[^<>]*(?P<end>>?)"
)
_CLOSED_BY = {"{{": "}}", "[[": "]]", "{|": "|}", "<!--": "-->", "[": "]"}


def is_redirect(wikitext: str) -> bool:
    """Tells whether a page's text sends the reader on (older dumps do not mark such pages)."""
    return _REDIRECT.match(wikitext) is not None


def is_disambiguation(title: str, wikitext: str, templates: Collection[str] = ()) -> bool:
    """Tells whether a page only lists the meanings of a term.

    Args:
        title: The page's title.
        wikitext: Its text.
        templates: Further template names that mark such pages, for wikis of other languages.

    Returns:
        True for "(disambiguation)" at the title's end, the switch `__DISAMBIG__`, or a template whose name ends with
        "disambiguation", is one of English Wikipedia's short names for it, or stands in `templates`.
    """
    if title.endswith("(disambiguation)") or "__DISAMBIG__" in wikitext:
        return True
    names = (name.strip().replace("_", " ").lower() for name in _TEMPLATE_NAME.findall(wikitext))
    return any(
        name.endswith("disambiguation") or name in _DISAMBIGUATION_TEMPLATES or name in templates for name in names
    )


def parse_cost(wikitext: str) -> int:
    """Bounds how many characters a wikitext parser reads in vain on a page.

    A parser that meets an opening bracket or tag tries to read to its end; where there is none it goes back, so a page
    with n openings in vain costs n times its length (measured on mwparserfromhell 0.7: 100,000 unclosed "{{a|" run for
    hours). The bound is counted, not timed, so that a page's fate does not depend on the machine.

    Args:
        wikitext: A page's text.

    Returns:
        The sum, over openings without an end, of the characters from the opening to where it is given up.
    """
    cost = 0
    opened: list[tuple[str, int]] = []
    waiting: dict[str, int] = {}
    for bracket in _BRACKET.finditer(wikitext):
        mark = bracket[0]
        if tag := bracket["tag"]:
            closing, opens, mark = _tag_roles(bracket["close"], tag.lower(), mark, ends=bool(bracket["end"]))
        else:
            closing, opens = mark, mark in _CLOSED_BY
        if opens:
            wanted = _CLOSED_BY.get(mark, mark)
            opened.append((wanted, bracket.start()))
            waiting[wanted] = waiting.get(wanted, 0) + 1
        elif waiting.get(closing):
            while (last := opened.pop())[0] != closing:
                waiting[last[0]] -= 1
                cost += bracket.start() - last[1]
            waiting[closing] -= 1
    return cost + sum(len(wikitext) - start for _, start in opened)


def _tag_roles(slash: str, name: str, mark: str, *, ends: bool) -> tuple[str, bool, str]:
    """Tells what a tag closes, whether it opens something, and by which name."""
    closer = f"</{name}>"
    if slash:
        return closer, False, mark
    return "", not (ends and (mark.endswith("/>") or name in _UNCLOSED_BY_CUSTOM)), closer


def plain_text(wikitext: str, dropped_prefixes: Collection[str] = FILE_NAMESPACES) -> str:
    """Removes the markup of a page.

    What goes, with all it holds: templates, template arguments, comments, tables, references and the other
    `DROPPED_TAGS`, links to files and categories, URLs, behaviour switches, runs of apostrophes. What stays: text, the
    labels of links (or their targets where they have no label), headings, the content of other tags, and the
    characters that entities stand for. `<br>` and `<hr>` become a line break; what goes leaves nothing behind.

    Args:
        wikitext: A page's text, within `LARGEST_PARSE_COST`.
        dropped_prefixes: Prefixes of links that go, in lower case.

    Returns:
        The plain text. A line is a paragraph, a heading or a list item.
    """
    remover = _Remover(dropped_prefixes)
    parser = Parser()  # type: ignore[no-untyped-call]
    # Quotes left as text: where they do not balance, the parser gives up the references and tables around them.
    for token in parser._tokenizer.tokenize(wikitext, 0, True):  # noqa: FBT003
        remover.take(token)
    return _SLANT_OR_BOLD.sub("", _BEHAVIOUR_SWITCH.sub("", "".join(remover.pieces)))


@dataclass
class _Construct:
    """A piece of markup that is open: where its text starts, and what is known of it."""

    start: int
    keeps: bool = False
    name: str = ""
    end: int = 0


class _Remover:
    """Collects text from the flat list of tokens, cutting off what a construct does not keep when it closes.

    The parser's tree says the same but costs three times as long to build; the tests compare both.
    """

    def __init__(self, dropped_prefixes: Collection[str]) -> None:
        self.pieces: list[str] = []
        self._dropped_prefixes = dropped_prefixes
        self._open: list[_Construct] = []
        # The keys are classes that mwparserfromhell publishes without types.
        self._actions: dict[object, Callable[[], None]] = {
            tokens.TemplateOpen: self._opens,
            tokens.TemplateClose: self._closes,
            tokens.ArgumentOpen: self._opens,
            tokens.ArgumentClose: self._closes,
            tokens.CommentStart: self._opens,
            tokens.CommentEnd: self._closes,
            tokens.WikilinkOpen: self._opens,
            tokens.WikilinkSeparator: self._link_label,
            tokens.WikilinkClose: self._link_closes,
            tokens.ExternalLinkOpen: self._opens,
            tokens.ExternalLinkSeparator: self._address_ends,
            tokens.ExternalLinkClose: self._closes,
            tokens.HTMLEntityStart: self._opens,
            tokens.HTMLEntityNumeric: self._entity_is_numeric,
            tokens.HTMLEntityHex: self._entity_is_hexadecimal,
            tokens.HTMLEntityEnd: self._entity_closes,
            tokens.TagOpenOpen: self._opens,
            tokens.TagCloseOpen: self._tag_is_open,
            tokens.TagCloseSelfclose: self._tag_was_empty,
            tokens.TagOpenClose: self._tag_content_ends,
            tokens.TagCloseClose: self._tag_closes,
        }

    def take(self, token: tokens.Token) -> None:
        kind = type(token)
        if kind is tokens.Text:
            self.pieces.append(token["text"])
        elif action := self._actions.get(kind):
            action()

    def _opens(self) -> None:
        self._open.append(_Construct(len(self.pieces)))

    def _closes(self) -> None:
        construct = self._open.pop()
        if not construct.keeps:
            del self.pieces[construct.start :]

    def _cut(self) -> str:
        """Takes away what the innermost construct has collected."""
        start = self._open[-1].start
        text = "".join(self.pieces[start:])
        del self.pieces[start:]
        return text

    def _link_label(self) -> None:
        self._open[-1].name = "label"
        self._open[-1].keeps = not self._is_dropped(self._cut())

    def _link_closes(self) -> None:
        if not self._open[-1].name:
            target = self._cut()
            if not self._is_dropped(target):
                self._open[-1].keeps = True
                self.pieces.append(target.lstrip().removeprefix(":"))
        self._closes()

    def _is_dropped(self, target: str) -> bool:
        prefix, colon, _ = target.partition(":")
        return bool(colon) and prefix.strip().lower() in self._dropped_prefixes

    def _address_ends(self) -> None:
        self._cut()
        self._open[-1].keeps = True

    def _entity_is_numeric(self) -> None:
        self._open[-1].name = "#"

    def _entity_is_hexadecimal(self) -> None:
        self._open[-1].name = "#x"

    def _entity_closes(self) -> None:
        value = self._cut()
        self.pieces.append(html.unescape(f"&{self._open.pop().name}{value};"))

    def _tag_is_open(self) -> None:
        tag = self._open[-1]
        tag.name = self.pieces[tag.start].strip().lower() if tag.start < len(self.pieces) else ""
        tag.keeps = tag.name not in DROPPED_TAGS
        self._cut()

    def _tag_was_empty(self) -> None:
        self._tag_is_open()
        if self._open.pop().name in _LINE_TAGS:
            self.pieces.append("\n")

    def _tag_content_ends(self) -> None:
        self._open[-1].end = len(self.pieces)

    def _tag_closes(self) -> None:
        del self.pieces[self._open[-1].end :]
        self._closes()
