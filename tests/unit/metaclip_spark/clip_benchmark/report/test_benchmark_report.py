"""Verdicts and page of rows whose truth is known."""

import json
import math
import re

import pytest

from metaclip_spark.clip_benchmark.evaluation.significance import comparisons, summaries
from metaclip_spark.clip_benchmark.report.html import (
    build_report,
    learning_verdict,
    render,
    summary_lines,
    write_report,
)
from metaclip_spark.clip_benchmark.report.published import published_table
from metaclip_spark.clip_benchmark.settings.grid import Cell, fractional
from metaclip_spark.errors import percent
from tests.support.browser import CHROMIUM, open_tab
from tests.support.clip_benchmark.rows import GAIN, made_up_row

NOISE = (0.004, -0.003, 0.001, -0.002, 0.0)


def arm_rows(gain, seeds=5):
    cells = [Cell(arm=arm, caption_kind="v1", seed=seed) for arm in ("random", "balanced") for seed in range(seeds)]
    return [made_up_row(cell, noise=gain + NOISE[cell.seed] if cell.arm == "balanced" else 0.0) for cell in cells]


def asked(rows, question, metric="top1"):
    (found,) = [found for found in comparisons(rows) if question in found.question and found.metric == metric]
    return found


def test_the_primary_comparison_is_paired_by_seed_and_needs_five():
    found = asked(arm_rows(0.05), "curation")
    assert found.primary
    assert found.difference.seeds == (0, 1, 2, 3, 4)
    assert found.difference.mean == pytest.approx(0.05)
    assert found.difference.verdict == "better"
    # The seeds' own luck is 0.01 from one to the next: unpaired it would hide this difference.
    assert found.difference.high - found.difference.low < 0.01
    assert asked(arm_rows(-0.05), "curation").difference.verdict == "worse"
    assert asked(arm_rows(0.001), "curation").difference.verdict == "inconclusive"
    assert asked(arm_rows(0.05, seeds=4), "curation").difference.verdict == "too few seeds (4 of 5)"


def test_settings_that_differ_in_two_things_are_not_compared():
    rows = [made_up_row(Cell(variant="clip", seed=s)) for s in range(3)]
    rows += [made_up_row(Cell(variant="slip", preset="published", seed=s)) for s in range(3)]
    assert comparisons(rows) == []


def test_the_architecture_is_asked_by_the_difference_of_differences():
    rows = [made_up_row(cell, noise=NOISE[cell.seed] * (cell.variant == "slip")) for cell in fractional(range(3))]
    found = asked(rows, "architecture: the gain of declip over clip")
    assert found.difference.mean == pytest.approx(2 * GAIN["declip"])
    assert found.difference.verdict == "better"
    on_resnet = [f for f in comparisons(rows) if f.first == "declip" and "resnet" in f.where]
    assert [f.difference.verdict for f in on_resnet] == ["worse"]
    assert {(f.first, f.second) for f in comparisons(rows) if f.question.startswith("text depth")} == {
        ("1", "own"),
        ("4", "own"),
    }


def test_the_bound_over_seeds_and_over_items():
    three = summaries([made_up_row(Cell(seed=s)) for s in range(3)])[0]
    # Mean 0.31, deviation 0.01, t(0.95, 2) = 2.919986.
    assert three.lower_bound == pytest.approx(0.31 - 2.919986 * 0.01 / math.sqrt(3), abs=1e-6)
    assert three.passes
    one = summaries([made_up_row(Cell(), top1_lower=0.124)])[0]
    assert one.lower_bound == 0.124
    assert not one.passes
    assert one.bar == pytest.approx(0.125)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rows = [made_up_row(cell, noise=NOISE[cell.seed]) for cell in fractional(range(3), primary_seeds=range(5))]
    rows[0]["batch_norm"] = "<b onclick=alert(2)>"
    rows[0]["losses"] = {"total": [math.nan, 4.0, 3.0]}
    path = write_report(folder, rows, {"data_digest": "<script>alert(1)</script>", "synonyms": False})
    return path.read_text(encoding="utf-8"), json.loads((folder / "benchmark.json").read_text())


def test_the_page_has_every_figure_and_the_published_ones_with_their_label(page):
    text = re.sub(r"<[^>]+>", " ", page[0])
    published = published_table().top1_percent
    assert "`" not in page[0]
    for share in published.values():
        assert percent(share / 100) in text
    assert "ViT-B/32 on YFCC15M-V2, zero-shot on ImageNet-1k with 80 prompts, preset published, 128,001 steps" in text
    numbers = page[1]
    shown = {
        s["variant"]: s["top1"]
        for s in numbers["settings"]
        if s["image_tower"] == "vit" and s["preset"] == "clean" and s["caption_kind"] == "v2" and s["text_depth"] == 0
    }
    table = re.sub(r"\s+", " ", text[text.index("method") : text.index("Depth of the text tower")])
    for variant, top1 in shown.items():
        assert f"{variant} {percent(top1)}" in table
    assert numbers["published"]["top1_per_cent"] == published


def test_the_page_escapes_has_no_script_and_distinct_ids(page):
    assert "<script" not in page[0]
    assert "&lt;script&gt;" in page[0]
    assert "<b onclick" not in page[0]
    assert "&lt;b onclick=alert(2)&gt;" in page[0]
    ids = re.findall(r'\bid="([^"]+)"', page[0])
    assert len(ids) == len(set(ids))
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page[0], flags=re.DOTALL)
    assert "NaN" not in json.dumps(page[1])


def conditions_of(page):
    rows = re.findall(r'<tr><td>(.*?)</td><td class="value">(.*?)</td></tr>', page[page.index('id="conditions"') :])
    return {name: text_of(value) for name, value in rows}


def text_of(markup):
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


def test_each_condition_is_said_once_as_it_was_used(page):
    shown = conditions_of(page[0])
    assert shown["learning rate"] == "0.001"
    assert shown["log scale bounds"] == "0, 4.605"
    assert shown["synonyms"] == "no"
    assert "batch size" not in shown
    rows = [made_up_row(Cell(variant=variant)) for variant in ("clip", "slip", "filip")]
    rows[1]["learning_rate"] = 5e-4
    names = "slip, vit, all, v2"
    shown = conditions_of(render(build_report(rows, {})))
    assert shown["learning rate"] == f"0.0005 {names} 0.001 all others"


def test_what_has_not_learnt_is_said_first():
    failed, passed = (made_up_row(Cell(variant=v), top1_lower=low) for v, low in (("clip", 0.1), ("slip", 0.2)))
    one = "The model has not learnt anything: the lower 95% bound of zero-shot top-1 is not above 12.5% (3 x chance)."
    assert learning_verdict(summaries([failed])) == one
    assert learning_verdict(summaries([failed, passed])).startswith("1 of 2 settings has not learnt anything")
    assert learning_verdict(summaries([passed])).startswith("The model has learnt")
    page = text_of(render(build_report([failed], {})))
    assert "CLIP benchmark nothing learnt" in page
    assert page.index(one) < page.index("Two settings are compared")
    assert summary_lines([failed]) == [
        "clip, vit, all, v2: top-1 30% (1 seed), lower 95% bound 10%, NOT above 12.5% (3 x chance 4.2%)",
        one,
    ]


# In this environment a skipped test is a failure.
if CHROMIUM is not None:

    def test_nothing_is_cut_off_on_a_screen_a_phone_or_paper(page, tmp_path):
        one = render(build_report([made_up_row(Cell())], {}))
        with open_tab(tmp_path) as tab:
            for name, content in (("many", page[0]), ("one", one)):
                path = tmp_path / f"{name}.html"
                path.write_text(content, encoding="utf-8")
                tab.open(path)
                assert tab.cut_off() == [], name
                tab.lay_out(1200)
                widths = "Math.max(...[...document.querySelectorAll('svg')].map(each => each.clientWidth))"
                assert 0 < tab.value(widths) <= 640
