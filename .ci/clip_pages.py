"""The CLIP benchmark's figures in README and documentation, and each sentence on them, from a grid's files.

`python .ci/clip_pages.py FOLDER` takes over the folder of a grid (`make benchmark-grid`): the rows of its finished
cells, from which that target goes on elsewhere, and where the grid is finished its `benchmark.json`, from which the
README's section and docs/clip-benchmark/results.md are written. Of another pool (`make benchmark-drawings`) rows and
`benchmark.json` are stored for the grid's `--beside`. With `--replace` they may take the place of more rows of other
settings.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / ".ci")]

from markdown_table import table  # noqa: E402 - found by the line above

from metaclip_spark.clip_benchmark.cells import (  # noqa: E402 - as above
    NUMBERS_FILE,
    RESULTS_FILE,
    SETTINGS_FILE,
    read_results,
    read_rows,
    write_rows,
)
from metaclip_spark.clip_benchmark.evaluation.figures import NAMES, UNITS  # noqa: E402 - as above
from metaclip_spark.clip_benchmark.report.published import published_tables  # noqa: E402 - as above
from metaclip_spark.clip_benchmark.report.wording import correlation, in_unit, p_value, plain, points  # noqa: E402
from metaclip_spark.config.fields import in_words  # noqa: E402 - as above
from metaclip_spark.errors import CurationError, InputError, OutputExistsError, counted  # noqa: E402 - as above

FIGURES = "tests/benchmarks/clip_benchmark.json"
"""A finished grid's `benchmark.json`."""

GRID = "tests/benchmarks/clip_grid"
"""Rows of finished cells, with the settings that they were made with."""

BESIDE = {"drawings": "tests/benchmarks/clip_drawings"}
"""Another pool that the page shows -> its rows, settings and `benchmark.json`."""

RESULTS_PAGE = "docs/clip-benchmark/results.md"
FIRST, LAST = "<!-- by .ci/clip_pages.py -->", "<!-- to here -->"
"""What the README's generated lines stand between."""

VARIANTS = {"clip": "CLIP", "slip": "SLIP", "filip": "FILIP", "declip": "DeCLIP", "defilip": "DeFILIP"}
TOWERS = {"vit": "ViT", "resnet": "ResNet"}
FAMILIES = {
    "arms": "Data arms",
    "filtering": "Filtered against raw captions",
    "variants": "Variants and towers",
    "depths": "Depth of the text tower",
    "presets": "Recipes",
}
"""A family of questions -> its heading; the first one has the primary comparison."""

_POINTS = "Differences are in percentage points, those of gains of two towers in log-odds"
_BOLD = "bold only where Holm's p, corrected within the family of questions, is below 0.05"

_OTHER_SIDES = (
    "On the ResNet FILIP and DeFILIP need larger pictures for their tokens: "
    "[Results](docs/clip-benchmark/results.md) has them, beside a CLIP of the same side."
)
_REPLACE = "--replace"

_TO_BE_READ_WITH = (
    "Such pictures and models test the benchmark: what a large model on photos would gain they do not say, and "
    "[a part is circular by construction](docs/clip-benchmark/results.md)."
)

# ---------------------------------------------------------------------------------------------------------------------
# Parts of the pages


def part(argument: str) -> str:
    """Writes a part of the benchmark's documentation by its name."""
    if argument == "published":
        return published()
    found = json.loads((ROOT / FIGURES).read_text(encoding="utf-8"))
    return {"results": results, "readme": readme}[argument](found)


def published() -> str:
    """Writes the paper's figures, as the recipes have them."""
    rows = [
        (each.image_tower, *(str(each.top1_percent.get(name, "–")) for name in VARIANTS))
        for each in published_tables().values()
    ]
    return table(("published top-1, %", *VARIANTS.values()), rows)


def readme(found: Mapping[str, Any]) -> str:
    """Writes the README's lines on a grid: the arms, the variants beside the published columns, and their order."""
    arms = _differences_of_arms(found)
    told = [f"Top-1 of CLIP on the data arms, in points (95% interval; {_BOLD}): {arms}."] if arms else []
    told += [
        f"On the pool `{other['facts']['pool']}` ({_test_split(other)}): {_differences_of_arms(other)}. "
        f"{other['learnt']}"
        for other in found["beside"]
    ]
    own = [line for line in found["variants"] if not line["pixels"]]
    elsewhere = [_OTHER_SIDES] if len(own) < len(found["variants"]) else []
    notes = " ".join([*elsewhere, *found["order"], *found["solved_pretexts"], _TO_BE_READ_WITH])
    return "\n\n".join(
        [" ".join([_trained(found), *told]), *([variants_table({**found, "variants": own})] if own else []), notes]
    )


def _differences_of_arms(found: Mapping[str, Any]) -> str:
    """The differences in top-1 between the data arms."""
    arms = [asked for asked in found["comparisons"] if asked["family"] == "arms" and asked["metric"] == "top1"]
    return "; ".join(f"{asked['first']} − {asked['second']} {_difference(asked)}" for asked in arms)


def results(found: Mapping[str, Any]) -> str:
    """Writes the page of results."""
    beside = [f"## Pool: {other['facts']['pool']}\n\n{_pool(other)}" for other in found["beside"]]
    return "\n\n".join(
        [
            f"This page is made from `{FIGURES}`, the `benchmark.json` of `make benchmark-grid`; the rows of its cells "
            f"are in `{GRID}/{RESULTS_FILE}`, from which that command goes on. {_rows_beside(found)}"
            "[How to read it](reading.md).",
            f"## Pool: {found['facts']['pool']}\n\n{_pool(found)}",
            *(
                ["Each pool has a test split of its own, so that figures of two pools do not compare."]
                if beside
                else []
            ),
            *beside,
            "## Checks and cost",
            "The unit tests hold that two gloo processes give one process's gradients in float64, and that a resumed "
            "training gives bit-equal losses. `tests/benchmarks/bench_clip_training.py` measures a training beside a "
            "plain loop over open_clip.",
        ]
    )


def _rows_beside(found: Mapping[str, Any]) -> str:
    """Says where the rows of the other pools are, and which command makes them."""
    kinds = [kind for other in found["beside"] if (kind := other["facts"]["pool"]) in BESIDE]
    return "".join(f"Those of `make benchmark-{kind}` are in `{BESIDE[kind]}/{RESULTS_FILE}`. " for kind in kinds)


def _pool(found: Mapping[str, Any]) -> str:
    parts = [f"{found['learnt']} {_trained(found)}"]
    parts += [f"**{note}**" for note in found["solved_pretexts"]]
    parts += ["What the figures must be read with:", "\n".join(f"- {note}" for note in found["notes"])]
    asked_of = {family: [each for each in found["comparisons"] if each["family"] == family] for family in FAMILIES}
    for family, heading in FAMILIES.items():
        shown = [*_settings_of(found, family), *([questions_table(asked_of[family])] if asked_of[family] else [])]
        parts += [f"### {heading}", *shown] if shown else []
    parts.append(
        f"{_POINTS}; an interval is the two-sided 95% interval of Student's t over paired seeds; a difference is "
        f"{_BOLD}. Correlation is that of the pairs, over the seeds."
    )
    return "\n\n".join(parts)


def _settings_of(found: Mapping[str, Any], family: str) -> list[str]:
    """What the settings reach that a family of questions compares, where there are any."""
    if family == "variants":
        return [*([variants_table(found)] if found["variants"] else []), *found["order"]]
    names = found[{"filtering": "captions"}.get(family, family)]
    return [settings_table(found, names)] if names else []


def _trained(found: Mapping[str, Any]) -> str:
    """Says what was trained, on what, and how."""
    conditions = [setting["conditions"] for setting in found["settings"]]

    def values(name: str) -> str:
        return " and ".join(dict.fromkeys(plain(value) for each in conditions for value in each[name]))

    sizes = " and ".join(dict.fromkeys(setting["model_size"] for setting in found["settings"]))
    return (
        f"{counted(found['runs'], 'training')} of the size `{sizes}` on the pool `{found['facts']['pool']}`, "
        f"{values('steps')} steps of {values('samples_per_step')} each, over "
        f"{counted(found['facts']['seeds'], 'seed')}; {_test_split(found)} "
        f"({values('processor')}, torch {values('torch')})."
    )


def _test_split(found: Mapping[str, Any]) -> str:
    """Says how many classes and items a test split has, and what guessing reaches."""
    return f"{found['classes']} classes, {found['items']:,} test items, chance {points(found['settings'][0]['chance'])}"


def variants_table(found: Mapping[str, Any]) -> str:
    """Writes zero-shot top-1 and linear probe of each variant on each tower, beside the published columns."""
    by_name = {setting["name"]: setting for setting in found["settings"]}
    towers = [tower for tower in TOWERS if any(line[tower] for line in found["variants"])]
    columns = [
        column for tower in towers for column in (f"{TOWERS[tower]}, zero-shot", f"{TOWERS[tower]}, linear probe")
    ]
    paper = [(each["image_tower"], each["top1_per_cent"]) for each in found["published"].values()]
    rows = [
        (
            VARIANTS[line["variant"]] + (f", {line['pixels']} pixels" if line["pixels"] else ""),
            *(
                _mean(by_name[line[tower]], metric) if line[tower] else "–"
                for tower in towers
                for metric in ("top1", "linear_probe")
            ),
            *(shares.get(line["variant"], "–") for _, shares in paper),
        )
        for line in found["variants"]
    ]
    head = ("top-1, %", *columns, *(f"published, {tower}" for tower, _ in paper))
    return table(head, rows)


def settings_table(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Writes what some settings reach."""
    by_name = {setting["name"]: setting for setting in found["settings"]}
    rows = [
        (
            name,
            f"{by_name[name]['data_pairs']:,.0f}",
            _mean(by_name[name], "top1"),
            points(by_name[name]["macro_head"]),
            points(by_name[name]["macro_tail"]),
            _mean(by_name[name], "linear_probe"),
        )
        for name in names
    ]
    return table(("setting", "pairs", "zero-shot top-1", "head classes", "tail classes", "linear probe"), rows)


def questions_table(asked_of: Sequence[Mapping[str, Any]]) -> str:
    """Writes the questions of a family with differences, intervals, correlations, p-values and verdicts."""
    rows = [
        (
            asked["question"],
            asked["where"],
            NAMES[asked["metric"]],
            f"{asked['first']} − {asked['second']}",
            _difference(asked),
            correlation(asked["difference"]["correlation"]),
            p_value(asked["difference"]["p"]) if _has_verdict(asked) else "–",
            p_value(asked["holm_p"]) if _has_verdict(asked) else "–",
            asked["verdict"],
        )
        for asked in asked_of
    ]
    head = ("question", "of", "figure", "compared", "difference", "correlation", "p", "Holm's p", "verdict")
    return table(head, rows)


def _has_verdict(asked: Mapping[str, Any]) -> bool:
    return not asked["verdict"].startswith("too few seeds")


def _difference(asked: Mapping[str, Any]) -> str:
    """A mean difference with its interval, bold where the corrected p allows a verdict."""
    mean, low, high = (
        "∞" if asked["difference"][name] is None else in_unit(asked["metric"], asked["difference"][name])
        for name in ("mean", "low", "high")
    )
    unit = f" {UNITS[asked['metric']]}" if asked["metric"] in UNITS else ""
    interval = "" if "∞" in {low, high} else f" ({low} to {high})"
    return (f"**{mean}**" if asked["verdict"] in {"better", "worse"} else mean) + unit + interval


def _mean(setting: Mapping[str, Any], metric: str) -> str:
    """A mean over the seeds with its interval."""
    interval = setting["intervals"][metric]
    return points(setting[metric]) + (f" ({points(interval[0])} to {points(interval[1])})" if interval else "")


# ---------------------------------------------------------------------------------------------------------------------
# Taking over a grid


def take_over(folder: Path, root: Path = ROOT, *, replace: bool = False) -> list[str]:
    """Stores the rows of a grid's finished cells, and where it is finished its figures and what is written of them.

    Args:
        folder: Of the grid.
        root: Of the checkout that is written to.
        replace: Replace stored rows of other settings, though they are more.

    Returns:
        What was written.

    Raises:
        InputError: If the folder holds no grid, or figures that are not those of its rows.
        OutputExistsError: If its rows are of several settings, or would replace more of other settings.
    """
    settings = _settings_of_rows(folder)
    if settings is None:
        raise InputError(f"{folder} is not the folder of a grid: it holds no readable {SETTINGS_FILE}")
    place = BESIDE.get(settings["pool"], GRID)
    rows = _all_rows(folder, settings, root / place)
    if not replace:
        _check_replaced(folder, rows, root / place)
    numbers = folder / NUMBERS_FILE
    found = json.loads(numbers.read_text(encoding="utf-8")) if numbers.exists() else None
    if found is not None:
        _check_figures(found, rows, numbers)
    _store_rows(rows, settings, root / place)
    written = [f"wrote {counted(len(rows), 'row')} to {place}/{RESULTS_FILE}"]
    if found is None:
        return [
            *written,
            f"{folder} has no {NUMBERS_FILE}: the grid is unfinished, and README and pages stay as they are",
        ]
    figures = FIGURES if place == GRID else f"{place}/{NUMBERS_FILE}"
    (root / figures).write_text(f"{json.dumps(found, indent=1, ensure_ascii=False)}\n", encoding="utf-8")
    if place != GRID:
        return [*written, f"wrote {figures}: make benchmark-grid shows it beside its own pool"]
    (root / RESULTS_PAGE).write_text("# Results\n\n<!-- generated: clip-benchmark results -->\n", encoding="utf-8")
    page = root / "README.md"
    page.write_text(with_lines(page.read_text(encoding="utf-8"), readme(found)), encoding="utf-8")
    return [*written, f"wrote {FIGURES}, {RESULTS_PAGE} and README.md"]


def with_lines(text: str, lines: str) -> str:
    """Puts generated lines between the marks of a page."""
    before, after = text[: text.index(FIRST)], text[text.index(LAST) :]
    return f"{before}{FIRST}\n{lines} {after}"


def _all_rows(folder: Path, settings: Mapping[str, Any], stored: Path) -> list[dict[str, Any]]:
    """The rows of a folder and those that are stored, which are left out where their settings are others."""
    rows = {row["cell"]: row for row in read_rows(folder, settings)}
    if _settings_of_rows(stored) == settings:
        rows = {row["cell"]: row for row in read_results(stored)} | rows
    return [rows[name] for name in sorted(rows)]


def _check_replaced(folder: Path, rows: Sequence[Mapping[str, Any]], stored: Path) -> None:
    """Refuses to replace more rows than there are of other settings, such as those of a machine without WordNet."""
    before, settings = _settings_of_rows(stored), _settings_of_rows(folder)
    if before is None or before == settings:
        return
    there = len(read_results(stored))
    if there > len(rows):
        raise OutputExistsError(
            f"{stored} holds {counted(there, 'row')} of other settings ({in_words(before, settings or {})}), and "
            f"{folder} has {len(rows)}: go on with their settings, or give {_REPLACE}"
        )


def _settings_of_rows(folder: Path) -> dict[str, Any] | None:
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return settings


def _store_rows(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], stored: Path) -> None:
    stored.mkdir(parents=True, exist_ok=True)
    write_rows(rows, stored / RESULTS_FILE)
    (stored / SETTINGS_FILE).write_text(f"{json.dumps(settings, indent=1)}\n", encoding="utf-8")


def _check_figures(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], shown: Path) -> None:
    if found.get("runs") != len(rows):
        raise InputError(
            f"{shown} is of {found.get('runs')} trainings, and there are rows of {len(rows)}: finish the grid, so that "
            "it is written anew"
        )
    lacking = [each["name"] for each in found["settings"] if len(each["seeds"]) < found["facts"]["seeds"]]
    if lacking:
        raise InputError(f"{shown} lacks seeds of {'; '.join(lacking)}: finish the grid")


def main(arguments: Sequence[str]) -> int:
    """Takes over the folder that is given; returns the exit code."""
    folders = [argument for argument in arguments if argument != _REPLACE]
    if len(folders) != 1:
        sys.stderr.write(f"usage: python .ci/clip_pages.py FOLDER [{_REPLACE}]\n")
        return 2
    try:
        sys.stdout.write("\n".join([*take_over(Path(folders[0]), replace=_REPLACE in arguments), ""]))
    except CurationError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
