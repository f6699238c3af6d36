"""The generated parts of the documentation: options, columns, exit codes, figures and the API's names.

A page asks for one by a line `<!-- generated: NAME -->`; `GENERATED` has the names. Nothing here is kept in a file, so
that nothing can be out of date. `python .ci/docs_pages.py NAME` prints one.
"""

import dataclasses
import importlib
import json
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / ".ci")]

import clip_pages  # noqa: E402 - found by the line above
from markdown_table import table as _table  # noqa: E402 - as above

BENCHMARKS = ROOT / "tests/benchmarks"
_MARK = re.compile(r"^<!-- generated: (?P<name>[a-z-]+)(?: (?P<argument>\S+))? -->$", re.MULTILINE)

# ---------------------------------------------------------------------------------------------------------------------
# Options


def commands() -> dict[str, Any]:
    """Gives every command by its verb."""
    verbs: dict[str, Any] = importlib.import_module("metaclip_spark.commands.main").VERBS
    return verbs


def options() -> dict[str, list[str]]:
    """Gives every option with the verbs of the commands that take it."""
    taken: dict[str, list[str]] = {}
    for verb, command in commands().items():
        for config_class in command.configs:
            for field in dataclasses.fields(config_class):
                if field.metadata.get("positional"):
                    continue
                taken.setdefault(_option(field.name), []).append(verb)
    return taken


def options_table(argument: str) -> str:
    """Writes the options of one class, given by `verb:Class`.

    A part of them has `:result`, `:operational` or, without those of the class that it extends, `:own` behind it.
    """
    verb, class_name, *only = argument.split(":")
    [config_class] = [each for each in commands()[verb].configs if each.__name__ == class_name]
    described = importlib.import_module("metaclip_spark.config.command_line").help_of(config_class)
    hints = typing.get_type_hints(config_class, include_extras=True)
    values_of = importlib.import_module("metaclip_spark.config.fields").values_of
    rows = [
        (
            f"`{_typed(field)}`",
            values_of(field, hints[field.name]) or "flag",
            _default(field),
            described.get(field.name, ""),
        )
        for field in dataclasses.fields(config_class)
        if not only or only[0] in _parts(config_class, field)
    ]
    return _table(("option", "value", "default", "meaning"), rows)


def _parts(config_class: type, field: dataclasses.Field[Any]) -> set[str]:
    """Names the parts that an option of a class belongs to."""
    is_told_by_itself = field.metadata.get("by_itself")
    effect = "operational" if field.metadata.get("operational") and not is_told_by_itself else "result"
    return {effect, "own"} if field.name in config_class.__annotations__ else {effect}


def _typed(field: dataclasses.Field[Any]) -> str:
    """Names a field as it is typed, or as `--help` shows its place."""
    return field.name.upper() if field.metadata.get("positional") else _option(field.name)


def commands_table(_argument: str) -> str:
    """Writes what each command is for, and its two names."""
    rows = [
        (f"`metaclip-spark {verb}`", f"`jobs/{command.work.__name__}.py`", command.description)
        for verb, command in commands().items()
    ]
    return _table(("command", "script for spark-submit", "what it does"), rows)


def _option(name: str) -> str:
    option: str = importlib.import_module("metaclip_spark.config.fields").option_of(name)
    return option


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default in {None, "", ()}:
        return ""
    if isinstance(field.default, bool):
        return "off" if not field.default else "on"
    if isinstance(field.default, tuple):
        return " ".join(f"`{each}`" for each in field.default)
    return f"`{field.default:,}`" if isinstance(field.default, int) else f"`{field.default}`"


# ---------------------------------------------------------------------------------------------------------------------
# Exit codes and reasons

EXIT_MEANINGS = {
    "EXIT_DONE": "done",
    "EXIT_FAILED": "failed: too many rejects, a suspect sample, a store or Spark",
    "EXIT_USER_MUST_CHANGE": "you must change something; one line says what",
    "EXIT_CHECK_FAILED": "the run is finished, but its curated set is empty or a check of `--require` failed",
    "EXIT_INTERRUPTED": "interrupted by Ctrl-C; committed work is kept",
    "EXIT_TERMINATED": "ended by SIGTERM; committed work is kept",
}


_STEP_OF = {
    "duplicate": "deduplicate",
    "no_entry": "match",
    "no_list": "match",
    "language_gate": "count",
    "not_drawn": "sample",
    "removed.since_balance": "sample",
}
"""The steps of reasons that are not rules of the step exclude."""


def exit_codes(_argument: str) -> str:
    """Writes the exit codes, from the constants that the jobs return."""
    module = importlib.import_module("metaclip_spark.config.job")
    codes = {name: int(value) for name, value in vars(module).items() if name.startswith("EXIT_")}
    return _table(("code", "meaning"), [(code, EXIT_MEANINGS[name]) for name, code in sorted(codes.items(), key=_code)])


def reasons(argument: str) -> str:
    """Writes the reasons of one stage: archive, record, image or text."""
    meanings: dict[str, str] = importlib.import_module("metaclip_spark.reports.pages.reasons").REASONS
    rows = [(f"`{name}`", meaning) for name, meaning in meanings.items() if name.startswith(f"{argument}.")]
    return _table(("reason", "meaning"), rows)


def step_reasons(_argument: str) -> str:
    """Writes the reasons by which pairs leave after extraction, each with its step."""
    module = importlib.import_module("metaclip_spark.reports.pages.reasons")
    rows = [(_STEP_OF.get(name, "exclude"), f"`{name}`", meaning) for name, meaning in module.STEP_REASONS.items()]
    condition = (
        "the first condition of `--keep-where` that is not true is NAME, or is the first and there are no scores"
    )
    filtered = [("exclude", "`filter.NAME`", condition)]
    order = ["deduplicate", "match", "exclude", "count", "sample"]
    return _table(("step", "reason", "meaning"), sorted([*rows, *filtered], key=lambda row: order.index(row[0])))


def quantities(_argument: str) -> str:
    """Writes the numbers that `--require` can check."""
    known = importlib.import_module("metaclip_spark.config.requirements").QUANTITIES
    rows = [
        (f"`{name}`", quantity.kind if quantity.is_share else "number", quantity.meaning, quantity.look_at)
        for name, quantity in known.items()
    ]
    return _table(("name", "kind", "what it is", "where to look"), rows)


def _code(item: tuple[str, int]) -> int:
    return item[1]


# ---------------------------------------------------------------------------------------------------------------------
# Tables

COLUMNS = {
    "alt_text": "the text, cleaned: stripped, line breaks as spaces",
    "archive": "name of the archive, or of the pool's file",
    "bytes_read": "bytes read from the archive",
    "curated": "pairs of the domain in the curated set",
    "domain": "registrable domain, in ASCII; an address, or a name without one, stands as it is",
    "entries": "entries of the metadata list",
    "entries_matched": "those of them that some pair has",
    "entry_count": "pairs of the pool that contain the entry",
    "entry_count_error": "standard error of the estimate `entry_count`",
    "entry_id": "0-based line of the entry in the metadata list",
    "entry_ids": "matched entries: sorted, distinct ids",
    "entry_probability": "min(1, t / entry_count); 1 where the count is 0",
    "entry_text": "the entry",
    "etag": "content tag of the archive: the store's ETag, or a digest of a local file",
    "example": "what was rejected, shortened; null since a purge",
    "expected_size": "pairs that the draw is expected to keep",
    "floor_applied": "whether `--min-language-pairs` has raised t",
    "expected_kept": "pairs with this entry that the draw is expected to keep",
    "image_host": "host of the image's URL; null where a list or a removal names the pair",
    "image_index": "position of the image in its page",
    "image_url": "absolute URL of the image",
    "images": "images met in the pages",
    "images_kept": "images with a usable URL and at least one text",
    "keep_probabilities": "of each of these pairs the probability with which it was kept",
    "keep_probability": "probability with which the pair was kept",
    "kept": "pairs with this entry in the curated set",
    "language": "top-1 label of fastText's lid.176; null where languages were not identified",
    "language_probability": "probability of that label",
    "metadata_language": "the metadata list that the entries are of, by its language; null where there is one list",
    "matches": "the counts of the list's entries, added up",
    "matched": "pairs of the domain before the draw",
    "page_language": "language that the page declares; null where it declares none, and where it was not read",
    "first_entry_count": "the count that the other run balanced with, over all pairs that it had matched",
    "first_keep_probability": "keep probability of the draw that chose what to download; null where all was attempted",
    "page_preferences": "what pages with the pair ask for, a bit for each: see below; null where it was not read",
    "page_url": "the page; null for pairs from `--pool`",
    "pages": "pages parsed",
    "pair_id": "md5 of URL, NUL and text: 32 hex digits",
    "pair_ids": "the image's curated pairs, sorted",
    "pairs": "raw pairs",
    "reason": "why, as listed below",
    "record_offset": "byte offset of the record in its archive",
    "records": "records read, good and bad",
    "rejected": "reason -> how many",
    "side": "`image` or `page`: what lies in the domain",
    "size": "bytes of the archive",
    "source": "`alt`, `title` or `data-image-title`; in a metadata list the source that gave the entry",
    "is_curated": "whether the pair was curated when it was removed",
    "kind": "what is listed: pair, url, prefix, image_domain, page_domain, page, text or image",
    "value": "the key itself, where `--store-values` asked for it",
    "value_sha256": "SHA-256 of the value's key, in hexadecimal digits",
    "standard_error": "standard deviation of the number of kept pairs",
    "stage": "archive, record, image or text",
    "status": "`ok`, `damaged` (read in part) or `failed`",
    "tail_share": "share of the matches that entries below t have, by the counts that were balanced with",
    "threshold_t": "t; null for infinity, which no count reaches",
    "strength": "count, PMI in bits, or views; null for numbers and WordNet",
    "texts": "texts of the images that were kept; in `curated_images/` the text of each of these pairs",
}
"""What each column means; a test compares the names with `udfs.schemas`."""

TABLES = (
    "PAIRS",
    "MATCHED",
    "ELIGIBLE",
    "EXCLUDED",
    "REMOVALS",
    "REMOVED_PAIRS",
    "CURATED",
    "CURATED_IMAGES",
    "ENTRY_COUNTS",
    "ESTIMATED_COUNTS",
    "EXPECTED_KEPT",
    "THRESHOLDS",
    "ENTRY_FIGURES",
    "DOMAINS",
    "ARCHIVES",
    "REJECTS",
    "ENTRIES",
)
"""Tables that a user reads."""


def table_schema(name: str) -> Any:
    """Finds a table's Arrow schema."""
    return getattr(importlib.import_module("udfs.schemas"), name)


def columns_table(argument: str) -> str:
    """Writes the columns of one of `TABLES`."""
    own = OF_TABLE.get(argument, {})
    rows = [
        (f"`{field.name}`", str(field.type).replace("element: ", ""), (COLUMNS | own)[field.name])
        for field in table_schema(argument)
    ]
    return _table(("column", "type", "meaning"), rows)


OF_TABLE = {
    "EXCLUDED": {
        "reason": "the first that holds, of the step exclude [below](#after-extraction)",
        "entry_ids": "matched entries; null where a list or a removal names the pair",
    },
    "REMOVED_PAIRS": {"reason": "which list names the pair: `removed.*` [below](#after-extraction)"},
    "THRESHOLDS": {
        "pairs": "matched pairs that were drawn from",
        "kept": "pairs in the curated set",
        "metadata_language": "the metadata list, by its language",
    },
}
"""Columns that mean something else in a table of their own."""

PREFERENCES = {
    "noai": "the directive `noai` to robots",
    "noimageai": "the directive `noimageai`",
    "noindex": "the directives `noindex` and `none`",
    "noimageindex": "the directive `noimageindex`",
    "tdm-reservation": "`tdm-reservation` with the value 1 (TDMRep)",
    "train-ai=n": "the header `Content-Usage` with `train-ai=n`",
}
"""What each bit of `page_preferences` stands for; a test compares the names with `udfs.preferences`."""


def preferences(_argument: str) -> str:
    """Writes the bits of `page_preferences`."""
    names = importlib.import_module("udfs.preferences").PREFERENCES
    return _table(("bit", "name", "set by"), [(1 << bit, name, PREFERENCES[name]) for bit, name in enumerate(names)])


# ---------------------------------------------------------------------------------------------------------------------
# Figures

MILLION = 1_000_000


def benchmarks(argument: str) -> str:
    """Writes the figures of `make bench`, as they are stored; `readme` is the README's table."""
    stored = _read_json("benchmarks.json")
    if argument == "readme":
        return _table(("", "reached"), _readme_rows({row["id"]: row["reached"] for row in stored["results"]}))
    measured = [
        (row.get("date", stored["date"]), _machine(row.get("machine", stored["machine"]))) for row in stored["results"]
    ]
    machines = sorted({machine for _, machine in measured})
    rows = [
        (
            row["id"],
            row["what"],
            _figure(row.get("target")),
            f"**{_figure(row['reached'])}**",
            {True: "yes", None: ""}.get(row.get("equal"), "no"),
            date if len(machines) == 1 else f"{date}, {machine}",
        )
        for row, (date, machine) in zip(stored["results"], measured, strict=True)
    ]
    versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    return "\n\n".join(
        [
            _table(("id", "what", "target", "reached", "same output", "measured"), rows),
            f"Measured on {' and on '.join(machines)}, with {versions}.",
        ]
    )


def _readme_rows(reached: dict[str, float]) -> list[tuple[str, str]]:
    large = _read_json("scale.json")
    return [
        (
            "matching, 500,000 entries, one core, against spacing and pyahocorasick per text",
            f"{reached['P1']:.0f} times as fast",
        ),
        (
            "WARC extraction, one core, against warcio and selectolax",
            f"{reached['P3a']:.1f} times; {reached['P3-crawla']:.1f} times on pages of a crawl's size, "
            f"{reached['P3-mixturea']:.1f} on a crawl's mixture",
        ),
        (
            "WAT extraction, one core, against cc2dataset",
            f"{reached['P2a']:.1f} times; {reached['P2-crawla']:.1f} times on larger records, "
            f"{reached['P2-synthetica']:.1f} on a synthetic crawl",
        ),
        (
            "match, count and sample, 12 million pairs, against a job that copies them",
            f"{reached['P4b']:.1f} times as long",
        ),
        (
            f"{large['input']['pairs'] // MILLION} million pairs on two cores, from `--pool` to the report",
            f"{large['seconds'] / 60:.0f} minutes",
        ),
    ]


def extraction(_argument: str) -> str:
    """Writes on which archives extraction was measured, how fast each way was, and what the compiled loop read."""
    ways = {"ours": "this project", "before": "before the loop", "floor": "FastWARC", "inflate": "libdeflate"}
    archives, speeds = [], []
    measured = [row for row in _read_json("benchmarks.json")["results"] if "rival" in row]
    for row in sorted(measured, key=_by_kind_and_record_size):
        facts = row["input"]
        archives.append(
            (
                row["title"],
                f"{facts['inflated_bytes'] / MILLION:.0f} MB",
                f"{facts['records']:,}, {facts['inflated_bytes'] / facts['records'] / 1000:.1f} KB",
                f"{facts['inflated_bytes'] / facts['pairs'] / 1000:.1f} KB",
                f"{facts['pages']:,}",
                f"{1 - sum(facts['reference_records'].values()) / facts['records']:.2%}",
                ", ".join(f"{number:,} {reason}" for reason, number in sorted(facts["reference_records"].items())),
            )
        )
        seconds = row["medians"]
        megabytes = {side: f"{facts['inflated_bytes'] / MILLION / each:,.0f}" for side, each in seconds.items()}
        speeds.append(
            (
                row["title"],
                megabytes["ours"],
                f"{megabytes[row['rival']]} ({row['rival']})",
                *(megabytes.get(side, "") for side in list(ways)[1:]),
            )
        )
    head = (
        "archive",
        "plain",
        "records, each",
        "one pair in",
        "pages",
        "records by the loop",
        "by the reference reader",
    )
    return "\n\n".join(
        [
            _table(head, archives),
            "Plain megabytes in a processor second, in the same rounds as above:",
            _table(("archive", ways["ours"], "the other way", *list(ways.values())[1:]), speeds),
        ]
    )


def _by_kind_and_record_size(row: dict[str, Any]) -> tuple[str, float]:
    kind: str = row["id"][:2]
    return kind, row["input"]["inflated_bytes"] / row["input"]["records"]


def mixture(_argument: str) -> str:
    """Writes what of the synthetic crawls is not plain, and where the shares are from."""
    [facts] = [row["input"] for row in _read_json("benchmarks.json")["results"] if row["id"] == "P3-mixturea"]
    rows = [(name, f"{trait['share'] * 100:.3g}%", trait["source"]) for name, trait in facts["traits"].items()]
    return _table(("what", "share", "by"), rows)


def scale(_argument: str) -> str:
    """Writes the figures of `make bench-scale`, as they are stored."""
    run = _read_json("scale.json")
    steps = [
        (
            name,
            f"{step['seconds']:,.0f}",
            f"{step['numbers'].get('pairs_in', step['numbers'].get('records', 0)):,}",
            f"{step['numbers']['pairs']:,}",
        )
        for name, step in run["steps"].items()
    ]
    peaks = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in run["peaks"].items())
    tables = ", ".join(f"`{name}` {size / 1e9:.2f} GB" for name, size in run["bytes"].items())
    return "\n\n".join(
        [
            f"Measured on {run['date']} on {_machine(run['machine'])}: {run['input']['pairs']:,} generated pairs, "
            f"{run['input']['entries']:,} entries, target {run['input']['target']:,} pairs, "
            f"JVM heap {run['input']['memory']}; {run['seconds']:,.0f} seconds in all.",
            _table(("step", "seconds", "pairs in", "pairs out"), steps),
            f"Largest resident memory: {peaks}. Tables: {tables}. "
            f"Shuffled: {run['moved']['Shuffle Bytes Written'] / 1e9:.2f} GB; "
            f"spilled: {run['moved']['Disk Bytes Spilled'] / 1e9:.2f} GB.",
        ]
    )


def extrapolation(_argument: str) -> str:
    """Writes what the measured rates would mean for larger pools, by `tests/benchmarks/extrapolate.py`."""
    module = importlib.import_module("tests.benchmarks.extrapolate")
    snapshot, pools = [], []
    for name, (raw, distinct) in module.POOLS.items():
        rates = {method: module.measured_rates(method) for method in module.METHODS}
        hours = {method: module.core_hours(raw, distinct, each) for method, each in rates.items()}
        steps = hours[module.AS_ASSUMED].items()
        pools.append(
            (
                name,
                f"{raw / 1e9:,.1f} billion, {distinct / 1e9:,.1f} billion",
                *(_figure(sum(each.values())) for each in hours.values()),
                ", ".join(f"{step} {_figure(each)}" for step, each in steps),
                f"{module.stored_bytes(raw, distinct, rates[module.AS_ASSUMED]) / 1e12:.1f} TB",
            )
        )
    for method in module.METHODS:
        for side in module.measured_sides(method):
            rates = module.measured_rates(method, side)
            hours = module.core_hours(*module.POOLS["one snapshot"], rates)
            snapshot.append(
                (
                    f"{method.name} (`{method.result}`)",
                    module.CODES[side],
                    f"{rates.bytes_per_pair / 1000:.1f} KB",
                    f"{rates.work['parse'] / MILLION:,.0f} MB",
                    _figure(hours["extract"]),
                    _figure(sum(hours.values())),
                )
            )
    head = ("rate of parsing from", "extraction", "one pair in", "per core and second", "extract", "whole run")
    totals = [f"core-hours, by {method.name}" for method in module.METHODS]
    return "\n\n".join(
        [
            "Core-hours for one snapshot, by each method and for each of this project's sources that was measured:",
            _table(head, snapshot),
            f"Every pool, {module.CODES['ours']}:",
            _table(("pool", "raw, distinct pairs", *totals, f"of these by {module.AS_ASSUMED.name}", "stored"), pools),
        ]
    )


def _read_json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((BENCHMARKS / name).read_text(encoding="utf-8"))
    return content


def _machine(machine: dict[str, Any]) -> str:
    return f"{machine['cores']} cores of {machine['processor'].replace('(R)', '')}"


def _figure(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits are enough


# ---------------------------------------------------------------------------------------------------------------------
# The API


def api(_argument: str) -> str:
    """Asks mkdocstrings for every public name of the package, by kind."""
    names = sorted(importlib.import_module("metaclip_spark").__all__, key=str.lower)
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Options": [], "Errors": []}
    for name in names:
        kind = "Errors" if name.endswith("Error") else "Options" if name.endswith("Config") else "Classes"
        kinds["Functions" if name[0].islower() else kind].append(name)
    return "\n\n".join(
        "\n\n".join([f"## {kind}", *(f"::: metaclip_spark.{name}" for name in names)]) for kind, names in kinds.items()
    )


# ---------------------------------------------------------------------------------------------------------------------

GENERATED: dict[str, Callable[[str], str]] = {
    "api": api,
    "benchmarks": benchmarks,
    "clip-benchmark": clip_pages.part,
    "columns": columns_table,
    "exit-codes": exit_codes,
    "extraction": extraction,
    "extrapolation": extrapolation,
    "commands": commands_table,
    "mixture": mixture,
    "options": options_table,
    "preferences": preferences,
    "quantities": quantities,
    "reasons": reasons,
    "scale": scale,
    "step-reasons": step_reasons,
}
"""Name of a generated part -> what writes it, given what follows the name."""


def fill_in(markdown: str) -> str:
    """Replaces each line `<!-- generated: NAME ARGUMENT -->` by what it names."""
    return _MARK.sub(lambda match: f"\n{GENERATED[match['name']](match['argument'] or '')}\n", markdown)


def asked_for(markdown: str) -> Iterator[tuple[str, str]]:
    """Gives the generated parts that a page asks for."""
    for match in _MARK.finditer(markdown):
        yield match["name"], match["argument"] or ""


if __name__ == "__main__":
    sys.stdout.write(f"{GENERATED[sys.argv[1]](' '.join(sys.argv[2:]))}\n")
