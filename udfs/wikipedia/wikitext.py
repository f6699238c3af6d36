"""Wikitext to plain text."""

import html
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mwparserfromhell.parser import Parser, tokens

LARGEST_WIKITEXT_BYTES = 2 * 1024 * 1024
"""MediaWiki's own limit for a page ($wgMaxArticleSize)."""

DROPPED_TAGS = frozenset({
    "categorytree", "ce", "chem", "gallery", "graph", "hiero", "imagemap", "indicator", "inputbox", "mapframe",
    "maplink", "math", "ref", "references", "score", "script", "section", "source", "style", "syntaxhighlight",
    "table", "templatedata", "templatestyles", "timeline",
})  # fmt: skip
"""Tags that go with their content. Of every other tag the content stays."""

FILE_NAMESPACES = frozenset({"file", "image", "media", "category"})
"""Prefixes of links that go with their label, in lower case: valid in a wiki of any language."""

_LINE_TAGS = frozenset({"br", "hr"})
_BEHAVIOUR_SWITCH = re.compile(r"__[A-Z]+__")
_INDENT_OF_TABLE = re.compile(r"^[ \t]*:[: \t]*(?=\{\|)", re.MULTILINE)
_SLANT_OR_BOLD = re.compile("'{2,}")
_REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)
_TEMPLATE_NAME = re.compile(r"\{\{([^{}|<>\[\]\n]{1,80})")
_DISAMBIGUATION_TEMPLATES = frozenset({"disambig", "disamb", "disam", "dab", "hndis", "geodis", "hospitaldis"})


def is_redirect(wikitext: str) -> bool:
    """Tells whether a page's text sends the reader on (older dumps do not mark such pages)."""
    return _REDIRECT.match(wikitext) is not None


def is_disambiguation(title: str, wikitext: str, templates: Collection[str] = ()) -> bool:
    """Tells whether a page only lists the meanings of a term.

    Such pages have "(disambiguation)" at the title's end, the switch `__DISAMBIG__`, or a template whose name ends with
    "disambiguation", is one of English Wikipedia's short names for it, or is among `templates`, in lower case.
    """
    if title.endswith("(disambiguation)") or "__DISAMBIG__" in wikitext:
        return True
    names = (name.strip().replace("_", " ").lower() for name in _TEMPLATE_NAME.findall(wikitext))
    return any(
        name.endswith("disambiguation") or name in _DISAMBIGUATION_TEMPLATES or name in templates for name in names
    )


def plain_text(wikitext: str, dropped_prefixes: Collection[str] = FILE_NAMESPACES) -> str:
    """Removes the markup of a page.

    What goes, with all it holds: templates, template arguments, comments, tables, references and the other
    `DROPPED_TAGS`, links to files and categories, URLs, behaviour switches, runs of apostrophes. What stays: text, the
    labels of links (or their targets where they have no label), headings, the content of other tags, and the
    characters that entities stand for. `<br>` and `<hr>` become a line break; what goes leaves nothing behind.

    Args:
        wikitext: A page's text, within `parse_cost.LARGEST_PARSE_COST`.
        dropped_prefixes: Prefixes of links that go, in lower case.

    Returns:
        The plain text. A line is a paragraph, a heading or a list item.
    """
    remover = _Remover(dropped_prefixes)
    parser = Parser()  # type: ignore[no-untyped-call]
    # Quotes left as text: where they do not balance, the parser gives up the references and tables around them.
    # An indented table is one, too, but the parser knows only tables at a line's start.
    for token in parser._tokenizer.tokenize(_INDENT_OF_TABLE.sub("", wikitext), 0, True):  # noqa: FBT003
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

    The parser's tree says the same but takes longer to build; the tests compare both.
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
