"""Bounds the work of mwparserfromhell on a page of wikitext, by following how its tokenizer goes back."""

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

LARGEST_PARSE_COST = 20_000_000
"""Characters that the parser may read again: some seconds. See `parse_cost`."""

_MARK_COST = 80
"""A mark takes the parser's time of so many characters of text."""

_SMALL_MARKS = "|;:*#=&!"
_SMALL_MARK_COST = 30
_BLOCK = 256
"""Characters for which the small marks are counted at once."""

_MARKS_OF_WHOLE = 3
_ODD_TAG_READS = 40
"""Times that the rest of a page is read where a tag's attributes have no end."""

_DEEPEST = 100
"""Depth of the parser's stack above which it takes openings for text."""

_MOST_BRACES = 255
_TEMPLATE_BRACES, _ARGUMENT_BRACES = 2, 3
_SCHEMES = (
    r"(?:bitcoin|ftps?|geo|git|gopher|https?|ircs?|magnet|mailto|mms|news|nntp|redis|sftp|sips?|sms|ssh|svn|tel|telnet"
    r"|urn|worldwind|xmpp):|//"
)
_MARKERS = r"{}\[\]<>|=&'#*;:/\-!\0"
# What is closed and holds no other mark, as most links and many templates.
_WHOLE_LINK = r"\[\[[^\[\]{}<>|&\n]+(?:\|[^\[\]{}<>&\n]*)?\]\]"
_WHOLE_TEMPLATE = r"\{\{[^\[\]{}<>|&]+(?:\|[^\[\]{}<>&]*)?\}\}(?!\})"
_MARK = re.compile(
    rf"(?P<whole>{_WHOLE_LINK}|{_WHOLE_TEMPLATE})"
    rf"|\{{{{2,{_MOST_BRACES}}}|\}}\}}|\{{\||\|\}}|\[(?:\[|(?={_SCHEMES}))|\]|<!--|</|&\#[xX]?0{{9,}}"
    rf"|<(?P<name>[^\s{_MARKERS}]+)(?P<attributes>(?:\s[^<>]*)?)(?P<end>/?>|)",
    re.IGNORECASE,
)
_TEMPLATE_NAME = re.compile(r"[^{}\[\]<>|]*(?:\||\}\}|\{\{|<!--)")
_ARGUMENT_NAME = re.compile(r"(?:[^{}|]|\}(?!\}))*(?:\||\}\}\}|\{)")
_LINK_TITLE = re.compile(r"[^{}\[\]<>|\n]*(?:\||\]\]|\{\{|<!--)")
_LINE_END = re.compile("\n")
_BLANK = re.compile(r"[^\S\n]*")
_TABLE_INDENT = re.compile(r"(?:[^\S\n]|:)*")
_LINKED_ADDRESS = re.compile(_SCHEMES, re.IGNORECASE)
_HEADING = re.compile(r"\n=(?:[^=\n]*=){10}[^\n]*")
_QUOTED = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')(?=[\s/]|$)""")
_QUOTE = re.compile(r"""=\s*["']""")

_RAW_TAGS = frozenset({
    "categorytree", "ce", "chem", "gallery", "graph", "hiero", "imagemap", "inputbox", "math", "nowiki", "pre",
    "score", "section", "source", "syntaxhighlight", "templatedata", "timeline",
})  # fmt: skip
"""Tags whose content the parser does not parse."""

_VOID_TAGS = frozenset(["br", "wbr", "hr", "meta", "link", "img"])
_ENDED_BY_TEXT = frozenset(["li", "dt", "dd", "th", "td", "tr"])
"""Tags that the end of the page closes."""

_TEMPLATE, _ARGUMENT, _LINK, _ADDRESS, _TAG, _TABLE = range(6)
_DEPTHS = (3, 3, 1, 1, 1, 3)
"""Places that each takes on the parser's stack."""


def parse_cost(wikitext: str) -> int:
    """Bounds how many characters mwparserfromhell reads again on a page.

    The parser reads a construct from its opening to its end; where there is none it goes back and takes the opening
    for text. Only the innermost open construct can be closed: in "[[x|<i>]] </i>" the link's end is the text of the
    tag. So a page with n openings in vain costs n times its length, a few kinds even 2 to the power of n. This follows
    the same way from mark to mark. It is counted, not timed, so that a page's fate does not depend on the machine.

    Args:
        wikitext: A page's text.

    Returns:
        The characters that are read again, with `_MARK_COST` for each mark; where that exceeds `LARGEST_PARSE_COST`,
        some number above it.
    """
    return _Follower(wikitext).cost()


@dataclass
class _Opened:
    """An open construct: where its content begins, and where reading goes on if it has no end."""

    kind: int
    start: int
    resume: int
    name: str = ""
    braces: int = 0
    line_end: int = -1


class _Follower:
    """Reads as the parser does, but only the marks."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._furthest = -1
        self._cost = 0
        self._open: list[_Opened] = []
        self._depth = 0
        self._failed: set[tuple[int, int]] = set()
        self._small_marks: list[int] = []
        self._lines = array("q")
        self._indents: dict[tuple[int, re.Pattern[str]], int] = {}

    def cost(self) -> int:
        self._cost = sum(line[0].count("=") * len(line[0]) // 8 for line in _HEADING.finditer("\n" + self._text))
        while self._cost <= LARGEST_PARSE_COST:
            mark = _MARK.search(self._text, self._at)
            begin = mark.start() if mark else len(self._text)
            if self._open and self._open[-1].kind == _ADDRESS and self._fails_at_line_end(begin):
                continue
            if mark is None:
                if not self._open:
                    break
                self._end()
                continue
            if begin < self._furthest:
                self._cost += _MARK_COST * (_MARKS_OF_WHOLE if mark["whole"] else 1)
            else:
                self._furthest = begin
            self._at = mark.end()
            if not mark["whole"]:
                self._take(mark)
        return self._cost

    def _take(self, mark: re.Match[str]) -> None:
        first = mark[0][0]
        if first == "<":
            self._take_angle(mark)
        elif mark[0].startswith("{{"):
            self._take_braces(mark)
        elif first == "[":
            self._take_bracket(mark)
        elif mark[0] == "{|":
            # `plain_text` takes the indents off tables.
            if self._begins_line(mark.start(), _TABLE_INDENT):
                self._try(_Opened(_TABLE, mark.end(), mark.end()))
        elif first == "&":
            self._cost += len(mark[0]) ** 2
        else:
            self._take_end(mark)

    def _take_end(self, mark: re.Match[str]) -> None:
        begin, top = mark.start(), self._open[-1].kind if self._open else -1
        self._at = begin + 1
        if mark[0] == "}}" and (top == _TEMPLATE or (top == _ARGUMENT and self._text.startswith("}}}", begin))):
            self._close_braces(begin + (_TEMPLATE_BRACES if top == _TEMPLATE else _ARGUMENT_BRACES))
        elif mark[0] == "]" and top == _ADDRESS:
            self._close_address(begin + 1)
        elif mark[0] == "]" and top == _LINK and self._text.startswith("]]", begin):
            self._close(begin + 2)
        elif mark[0] == "|}" and top == _TABLE and self._begins_line(begin, _BLANK):
            # Cells are read twice where they have attributes, so each table around doubles the work.
            closed = self._close(begin + 2)
            around = sum(opened.kind == _TABLE for opened in self._open)
            self._cost += self._reading(closed.start, begin) * (2**around - 1) * 8

    def _begins_line(self, begin: int, indent: re.Pattern[str]) -> bool:
        """Tells whether only an indent stands before a mark, in time that does not depend on the line's length."""
        if not self._lines:
            self._lines = array("q", [0])
            self._lines.extend(found.end() for found in _LINE_END.finditer(self._text))
        line = self._lines[bisect_right(self._lines, begin) - 1]
        end = self._indents.get((line, indent))
        if end is None:
            found = indent.match(self._text, line)
            end = self._indents[line, indent] = found.end() if found else line
        return end == begin

    def _try(self, opened: _Opened) -> bool:
        if self._depth >= _DEEPEST or (opened.start, opened.kind) in self._failed:
            return False
        self._open.append(opened)
        self._depth += _DEPTHS[opened.kind]
        self._at = opened.start
        return True

    def _close(self, end: int) -> _Opened:
        closed = self._pop()
        self._at = end
        return closed

    def _pop(self) -> _Opened:
        popped = self._open.pop()
        self._depth -= _DEPTHS[popped.kind]
        return popped

    def _reading(self, begin: int, end: int) -> int:
        """Gives the cost of reading text with its small marks, to a block."""
        if not self._small_marks:
            blocks = (self._text[start : start + _BLOCK] for start in range(0, len(self._text), _BLOCK))
            counts = (sum(map(block.count, _SMALL_MARKS)) for block in blocks)
            self._small_marks = list(accumulate(counts, initial=0))
        return end - begin + _SMALL_MARK_COST * (self._small_marks[end // _BLOCK] - self._small_marks[begin // _BLOCK])

    def _fail(self, end: int) -> None:
        failed = self._pop()
        self._cost += self._reading(failed.start, end)
        self._failed.add((failed.start, failed.kind))
        self._at = failed.resume
        if failed.kind == _ARGUMENT:
            self._try_braces(failed.start, failed.braces, is_first=False, begins_with=_TEMPLATE)
        elif failed.kind == _ADDRESS and failed.name:
            self._try_link(failed.start)

    def _end(self) -> None:
        """Meets the end of the text."""
        top = self._open[-1]
        if top.kind == _TAG and top.name in _ENDED_BY_TEXT:
            self._close(len(self._text))
        else:
            self._fail(len(self._text))

    def _fails_at_line_end(self, before: int) -> bool:
        top = self._open[-1]
        if top.line_end < self._at:
            found = self._text.find("\n", self._at)
            top.line_end = len(self._text) if found < 0 else found
        if top.line_end < before:
            self._fail(top.line_end)
            return True
        return False

    def _take_braces(self, mark: re.Match[str]) -> None:
        self._try_braces(mark.end(), len(mark[0]), is_first=True)

    def _try_braces(self, start: int, braces: int, *, is_first: bool, begins_with: int = _ARGUMENT) -> None:
        if (
            braces > _TEMPLATE_BRACES
            and begins_with == _ARGUMENT
            and _ARGUMENT_NAME.match(self._text, start)
            and self._try(_Opened(_ARGUMENT, start, start, braces=braces))
        ):
            return
        if braces > 1 and (not is_first or braces > _TEMPLATE_BRACES or _TEMPLATE_NAME.match(self._text, start)):
            self._try(_Opened(_TEMPLATE, start, start, braces=braces))

    def _close_braces(self, end: int) -> None:
        closed = self._close(end)
        left = closed.braces - (_ARGUMENT_BRACES if closed.kind == _ARGUMENT else _TEMPLATE_BRACES)
        if left > 1:
            self._try_braces(end, left, is_first=False)

    def _take_bracket(self, mark: re.Match[str]) -> None:
        if mark[0] == "[":
            if not (self._open and self._open[-1].kind == _ADDRESS):
                self._try(_Opened(_ADDRESS, mark.end(), mark.end()))
        elif not (
            _LINKED_ADDRESS.match(self._text, mark.end())
            and self._try(_Opened(_ADDRESS, mark.end(), mark.end(), name="[["))
        ):
            self._try_link(mark.end())

    def _try_link(self, start: int) -> None:
        if _LINK_TITLE.match(self._text, start):
            self._try(_Opened(_LINK, start, start))

    def _close_address(self, end: int) -> None:
        closed = self._close(end)
        if closed.name and self._open and self._open[-1].kind == _ADDRESS:
            # Within another address the parser throws it away, and does not remember that.
            self._cost += end - closed.start
            self._at = closed.resume

    def _take_angle(self, mark: re.Match[str]) -> None:
        begin = mark.start()
        if mark[0] == "<!--":
            end = self._text.find("-->", self._at)
            if end < 0:
                # The parser does not remember this, so it counts each time.
                self._cost += len(self._text) - begin
            else:
                self._at = end + 3
        elif mark[0] == "</":
            if self._open and self._open[-1].kind == _TAG:
                self._end_tag(begin)
        else:
            self._take_tag(mark)

    def _end_tag(self, begin: int) -> None:
        end = self._text.find(">", begin)
        top = self._open[-1]
        if end >= 0 and self._text[begin + 2 : end].strip().lower() == top.name:
            self._close(end + 1)
        else:
            self._fail(len(self._text) if end < 0 else end)

    def _take_tag(self, mark: re.Match[str]) -> None:
        name, attributes, resume = mark["name"].lower(), mark["attributes"], mark.start() + 1
        if (resume, _TAG) in self._failed:
            self._at = resume
            return
        if not mark["end"]:
            if attributes:
                self._failed.add((resume, _TAG))
                self._cost += self._reading(resume, len(self._text))
            self._at = resume
            return
        if _is_odd(attributes):
            self._failed.add((resume, _TAG))
            self._cost += _ODD_TAG_READS * (len(self._text) - resume)
        if mark["end"] == "/>" or attributes.endswith("/") or name in _VOID_TAGS:
            return
        if name in _RAW_TAGS:
            self._take_raw_tag(name, resume)
            return
        opened = _Opened(_TAG, resume, resume, name)
        end = self._at
        if self._try(opened):
            self._at = end

    def _take_raw_tag(self, name: str, resume: int) -> None:
        end = re.compile(rf"</\s*{re.escape(name)}\s*>", re.IGNORECASE).search(self._text, self._at)
        content = self._text[self._at : end.start() if end else None]
        self._cost += sum(line.count("</") * len(line) for line in content.split("\n") if "</" in line)
        if end:
            self._at = end.end()
        else:
            self._failed.add((resume, _TAG))
            self._cost += len(content)
            self._at = resume


def _is_odd(attributes: str) -> bool:
    """Tells whether a tag's attributes may go on behind its end, by an open quotation mark or bracket."""
    if attributes.count("{{") != attributes.count("}}") or attributes.count("[[") != attributes.count("]]"):
        return True
    return ('"' in attributes or "'" in attributes) and bool(_QUOTE.search(_QUOTED.sub("", attributes)))
