"""What building, checking and comparing lists print."""

from collections.abc import Iterator, Mapping, Sequence

from metaclip_spark.errors import counted
from metaclip_spark.metadata_builder.diff import SourceDifference
from metaclip_spark.metadata_builder.entry_list import BuiltMetadata, SourceReport, digest_of
from metaclip_spark.metadata_builder.lint import NO_LABEL, Finding

_SHOWN_CHARACTERS = 60
_ADJECTIVES = {
    "one character": "one-character ",
    "stop word": "stop-word ",
    "number": "number-only ",
    "very long": "very long ",
}
"""Findings that read better before the word "entries"."""

_PREDICATES = {
    "not a string": ("is not a string", "are not strings"),
    "empty or white space only": ("is empty or white space only", "are empty or white space only"),
    "repeats an earlier entry": ("repeats an earlier one", "repeat earlier ones"),
    "can never match": ("can never match", "can never match"),
    "has the spaced form of an earlier entry": (
        "has the spaced form of an earlier one",
        "have the spaced form of an earlier one",
    ),
    "not in Unicode's form NFC": ("is not in Unicode's form NFC", "are not in Unicode's form NFC"),
    "written without spaces": (
        "has characters of a script without spaces",
        "have characters of a script without spaces",
    ),
    "equal to an earlier entry in Unicode's form NFC": (
        "equals an earlier one in Unicode's form NFC",
        "equal earlier ones in Unicode's form NFC",
    ),
    "combining marks only": ("consists of combining marks only", "consist of combining marks only"),
    "a stop or comma of its script inside": (
        "has a stop or comma of its script inside",
        "have a stop or comma of its script inside",
    ),
    "a single Han character": ("is a single Han character", "are single Han characters"),
    "differs from an earlier entry in case only": (
        "differs from an earlier one in case only",
        "differ from an earlier one in case only",
    ),
}
"""All others, said of one entry and of several."""

_COUNTS_HEAD = ("source", "seen", "reached", "overlap", "dropped", "over budget", "kept")


def build_lines(built: BuiltMetadata) -> Iterator[str]:
    """Describes a built list: facts, tallies, counts per source, the border of each threshold, notes and warnings."""
    yield from (f"{name.replace('_', ' ')}: {value}" for name, value in built.facts.items())
    for file, reasons in built.tally.items():
        yield f"{file}: " + ", ".join(_tallied(*item) for item in reasons.items())
    yield from _table([_COUNTS_HEAD, *(_counts(report) for report in built.reports)])
    for report in built.reports:
        yield from _border_lines(report)
    yield from (f"note: {note}" for note in built.notes)
    yield from (f"warning: {warning}" for warning in built.warnings)
    yield f"{counted(len(built.entries), 'entry', 'entries')}, digest {digest_of(built.entries)}"


def _tallied(what: str, number: int) -> str:
    """A number of "pages", "articles" or "lines", or of what was lost for a reason, such as page.broken_xml."""
    return f"{number:,} {what}" if "." in what else counted(number, what.removesuffix("s"))


def _counts(report: SourceReport) -> tuple[str, ...]:
    numbers = (report.seen, report.reached, report.overlap, report.dropped, report.over_budget, report.kept)
    return (report.source, *map(str, numbers))


def _border_lines(report: SourceReport) -> Iterator[str]:
    if report.highest is None:
        return
    highest, lowest = report.highest, report.lowest_kept
    kept_down_to = f", lowest kept {lowest[1]:.6g} ({_shown(lowest[0])})" if lowest else ""
    yield f"{report.source}: highest {report.measure} {highest[1]:.6g} ({_shown(highest[0])}){kept_down_to}"
    for text, strength, kept in report.border:
        yield f"  {'kept' if kept else 'out '} {strength:.6g} {_shown(text)}"


def lint_lines(entries: Sequence[object], findings: Sequence[Finding], examples: int) -> Iterator[str]:
    """Describes what the linter found: a line per finding, then the number of errors."""
    for finding in findings:
        shown = ", ".join(f"#{index} {_shown(entries[index])}" for index in finding.ids[:examples])
        kind = _ADJECTIVES.get(finding.name, "")
        number = counted(len(finding.ids), f"{kind}entry", f"{kind}entries")
        said = "" if kind else f" {_PREDICATES[finding.name][len(finding.ids) > 1]}"
        joint = ", such as " if len(finding.ids) > examples else ": "
        yield f"{finding.severity}: {number}{said}" + (f"{joint}{shown}" if shown else "")
    errors = {index for finding in findings if finding.severity == "error" for index in finding.ids}
    yield f"{counted(len(entries), 'entry', 'entries')}, {len(errors)} with errors"


def folder_lines(linted: Mapping[str, tuple[Sequence[object], Sequence[Finding]]], examples: int) -> Iterator[str]:
    """Describes what the linter found in each list of a folder, then in all."""
    errors = 0
    for code, (entries, findings) in linted.items():
        errors += any(finding.severity == "error" for finding in findings)
        shown = [finding for finding in findings if finding.name != NO_LABEL]
        if len(shown) < len(findings):
            yield f"{code}: warning: no label leads to this list, so that no text is matched against it"
        yield from (f"{code}: {line}" for line in lint_lines(entries, shown, examples))
    total = counted(sum(len(entries) for entries, _ in linted.values()), "entry", "entries")
    yield f"{counted(len(linted), 'list')}, {total}, {counted(errors, 'list')} with errors"


def diff_lines(differences: Sequence[SourceDifference], examples: int) -> Iterator[str]:
    """Describes how two lists differ: a table, then examples per source and direction."""
    rows = [(item.source, *map(str, (item.old, item.new, len(item.added), len(item.removed)))) for item in differences]
    yield from _table([("source", "old", "new", "added", "removed"), *rows])
    for item in differences:
        for sign, entries in (("+", item.added), ("-", item.removed)):
            yield from (f"{sign} {item.source} {_shown(entry)}" for entry in entries[:examples])


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
