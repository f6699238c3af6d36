"""What README and documentation say of a grid: all of it from the grid's files, by the real report."""

import json
import re

import pytest

from metaclip_spark.clip_benchmark.at_once import Workers
from metaclip_spark.clip_benchmark.cells import read_results, run_cells
from metaclip_spark.clip_benchmark.report.build import build_report, json_ready
from metaclip_spark.clip_benchmark.report.html import read_report
from metaclip_spark.clip_benchmark.settings.grid import Cell, data_arms, fractional
from metaclip_spark.clip_benchmark.settings.grid_config import METHOD
from metaclip_spark.errors import InputError, OutputExistsError
from metaclip_spark.stores.storage import Storage
from tests.support.clip_benchmark.pages import checkout_to_write_to, load_clip_pages
from tests.support.clip_benchmark.rows import made_up_row

clip_pages = load_clip_pages()

NOISE = (0.004, -0.003, 0.001, -0.002, 0.0)
FACTS = {"pool": "shapes", "pool_varies": True, "seeds": 5}
SETTINGS = {"method": METHOD, "seeds": 5, "steps": 400, "pool": "shapes"}
LONGEST_README = 150


def figures_of(cell, **changed):
    gain = 0.05 * (cell.arm == "balanced") + 0.003 * (cell.arm == "matched")
    return made_up_row(cell, noise=gain + NOISE[cell.seed] * (cell.arm != "random"), **changed)


def finish(folder, cells, settings=SETTINGS, **changed):
    """Lets a grid of made-up figures run, as the job does."""
    given = set(made_up_row(Cell())) - {*vars(Cell()), "cell", "settings_digest"}
    run_cells(
        cells, folder, settings, lambda cell: {name: figures_of(cell, **changed)[name] for name in given}, Workers(1)
    )
    return folder


def write_figures(folder, beside=(), pool="shapes"):
    """Writes benchmark.json as the job does, without the page and its charts."""
    figures = json_ready(build_report(read_results(folder), {**FACTS, "pool": pool}))
    Storage(str(folder)).put_json("benchmark.json", {**figures, "beside": list(beside)})


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    folder = finish(tmp_path_factory.mktemp("grid"), fractional(range(5)))
    drawings = [figures_of(cell, classes=6, items=60) for cell in data_arms(range(5))]
    beside = build_report(drawings, {**FACTS, "pool": "drawings"})
    write_figures(folder, [json_ready(beside)])
    return folder


@pytest.fixture
def found(grid):
    return json.loads((grid / "benchmark.json").read_text())


def cells_of(markdown):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]


def test_one_command_takes_over_rows_figures_readme_and_page(grid, tmp_path):
    root = checkout_to_write_to(tmp_path)
    before = (root / "README.md").read_text()
    told = clip_pages.take_over(grid, root)
    assert told[0] == "wrote 115 rows to tests/benchmarks/clip_grid/results.parquet"
    stored = root / "tests/benchmarks"
    assert read_results(stored / "clip_grid") == read_results(grid)
    # From the stored rows come the stored figures.
    figures = json.loads((stored / "clip_benchmark.json").read_text())
    of_rows = json_ready(build_report(read_results(stored / "clip_grid"), figures["facts"]))
    assert {name: value for name, value in figures.items() if name != "beside"} == json.loads(json.dumps(of_rows))
    assert "<!-- generated: clip-benchmark results -->" in (root / "docs/clip-benchmark/results.md").read_text()
    readme = (root / "README.md").read_text()
    assert clip_pages.readme(figures) in readme
    assert len(readme.splitlines()) <= LONGEST_README
    # What stands around the lines is left, and a second time nothing changes.
    first, last = before.index(clip_pages.FIRST), before.index(clip_pages.LAST)
    assert readme.startswith(before[:first]) and readme.endswith(before[last:])
    clip_pages.take_over(grid, root)
    assert (root / "README.md").read_text() == readme


def test_the_readme_has_variants_beside_both_published_columns_and_the_arms(found):
    lines = clip_pages.readme(found)
    head, _, *rows = cells_of(lines)
    assert head[1:5] == ["ViT, zero-shot", "ViT, linear probe", "ResNet, zero-shot", "ResNet, linear probe"]
    assert head[5:] == ["published, ViT-B/32", "published, ResNet-50"]
    assert [row[0] for row in rows] == ["CLIP", "SLIP", "FILIP", "DeCLIP", "DeFILIP"]
    assert [row[5] for row in rows] == ["32.8", "34.3", "39.5", "43.2", "45.0"]
    assert [row[6] for row in rows] == ["37.2", "28.5", "21.3", "44.4", "–"]
    # Mean 0.32, with the t-interval of five seeds: a deviation of 0.01 a seed and the noise.
    assert re.fullmatch(r"32% \(30\.\d% to 33\.\d%\)", rows[0][1])
    assert rows[0][2] == "70% (70% to 70%)"
    assert "balanced − random **+5.0** (+4." in lines
    assert "matched − random +0.3 (" in lines
    for question in ("balanced − matched", "online − balanced", "all − random"):
        assert question in lines
    assert "On the pool `drawings` (6 classes, 60 test items, chance " in lines
    assert lines.count("balanced − random **") == 2
    for note in found["order"]:
        assert note in lines
    # Of the pictures' own side only: what is compared at another one stands on the page of results.
    assert [row[3] == "–" for row in rows] == [False, False, True, False, True]
    assert "need larger pictures for their tokens" in lines
    page = {row[0]: row for row in cells_of(clip_pages.results(found)) if row[0].endswith(", 96 pixels")}
    assert set(page) == {"CLIP, 96 pixels", "FILIP, 96 pixels", "DeFILIP, 96 pixels"}
    assert all(row[1] == "–" != row[3] for row in page.values())


def test_a_difference_is_bold_by_holm_s_p_alone(found):
    for asked in found["comparisons"]:
        shown = clip_pages.questions_table([asked]).splitlines()[-1]
        assert ("**" in shown) == (asked["holm_p"] < 0.05), asked
    assert {asked["holm_p"] < 0.05 for asked in found["comparisons"]} == {True, False}
    # An interval on one side of zero, of a question among several, is not enough.
    asked = {
        "question": "q",
        "where": "w",
        "metric": "top1",
        "first": "a",
        "second": "b",
        "difference": {"mean": 0.1, "low": 0.02, "high": 0.18, "p": 0.03, "correlation": None},
        "holm_p": 0.09,
        "verdict": "inconclusive",
    }
    assert cells_of(clip_pages.questions_table([asked]))[-1][4:] == [
        "+10.0 (+2.0 to +18.0)",
        "–",
        "0.030",
        "0.090",
        "inconclusive",
    ]


def test_the_page_has_every_question_with_what_it_must_be_read_with(found):
    page = clip_pages.results(found)
    rows = cells_of(page)
    for report in (found, *found["beside"]):
        for asked in report["comparisons"]:
            compared = f"{asked['first']} − {asked['second']}"
            shown = (clip_pages.NAMES[asked["metric"]], compared, clip_pages._difference(asked))
            (verdict,) = {row[8] for row in rows if tuple(row[:5]) == (asked["question"], asked["where"], *shown)}
            assert verdict == asked["verdict"]
        for note in (*report["notes"], *report["order"], report["learnt"]):
            assert note in page
    interplay = [row for row in rows if row[0].startswith("architecture") and len(row) == 9]
    assert len(interplay) == 4
    assert all(re.match(r"\*?\*?[+−]\d\.\d\d\*?\*? log-odds \(", row[4]) for row in interplay)
    assert "the V2-like filter's rules mirror the kinds of noise" in page
    assert "Captions are real titles of drawings" in page
    assert "## Pool: drawings" in page
    assert "Those of `make benchmark-drawings` are in `tests/benchmarks/clip_drawings/results.parquet`." in page
    assert "contradicted by" in page
    for arm in ("random", "matched", "balanced", "online", "all"):
        assert any(row[0] == f"clip, vit, {arm}, v1" for row in rows)
    assert not re.search(r"\bnan\b|\| None|None \||inf\b", page)


def test_sentences_follow_the_figures(tmp_path):
    folder = finish(
        tmp_path, [cell for cell in fractional(range(5)) if cell.seed < 2], {**SETTINGS, "seeds": 2}, top1_lower=0.01
    )
    rows = read_results(folder)
    for row in rows:
        if row["variant"] == "slip":
            row["losses"]["simclr"] = [0.2] * 100
    # One cell was trained elsewhere.
    (elsewhere,) = [row for row in rows if row["cell"] == Cell(seed=1).name]
    elsewhere |= {"processor": "a GPU", "torch": "2.11"}
    found = json.loads(json.dumps(json_ready(build_report(rows, {**FACTS, "seeds": 2}))))
    found["beside"] = []
    page, lines = clip_pages.results(found), clip_pages.readme(found)
    assert "None of the 23 settings has learnt to name the classes" in page
    assert "Fewer than 5 seeds give no verdict" in page
    assert "too few seeds (2 of 5)" in page
    for text in (page, lines):
        assert "slip, vit, all, v2: the image self-supervision was solved by a shortcut in 2 seeds" in text
        assert not re.search(r"\*\*[+−]", text)
        assert "(a processor and a GPU, torch 2.9.0 and 2.11)" in text
    (conditions,) = [each["conditions"] for each in found["settings"] if each["name"] == "clip, vit, all, v2"]
    assert conditions["processor"] == ["a processor", "a GPU"]
    assert (conditions["steps"], conditions["image_views"]) == ([300], [["weak"]])
    # Two seeds bound nothing.
    assert cells_of(lines)[2][1] == "30.6%"


def test_an_unfinished_grid_gives_its_rows_and_no_figures(tmp_path):
    root = checkout_to_write_to(tmp_path / "root")
    before = (root / "README.md").read_text()
    cells = fractional(range(5))
    first = finish(tmp_path / "first", cells[:3])
    told = clip_pages.take_over(first, root)
    assert told[0].startswith("wrote 3 rows to") and "is unfinished" in told[1]
    # Rows of another machine's folder come beside those.
    told = clip_pages.take_over(finish(tmp_path / "second", cells[2:5]), root)
    assert told[0].startswith("wrote 5 rows to")
    assert (root / "README.md").read_text() == before
    assert not (root / "tests/benchmarks/clip_benchmark.json").exists()
    # More of them do not give way to rows of other settings unless they are meant to.
    other = finish(tmp_path / "other", cells[:1], {**SETTINGS, "steps": 2})
    with pytest.raises(
        OutputExistsError, match=r"5 rows .* \(steps was 400 and is now 2\), and .*other has 1: .* --replace"
    ):
        clip_pages.take_over(other, root)
    assert len(read_results(root / clip_pages.GRID)) == 5
    assert clip_pages.take_over(other, root, replace=True)[0].startswith("wrote 1 row to")
    assert clip_pages.take_over(first, root)[0].startswith("wrote 3 rows to")
    assert len({row["settings_digest"] for row in read_results(root / clip_pages.GRID)}) == 1


def test_what_another_pool_gave_is_stored_for_the_grid_to_show_beside_its_own(tmp_path):
    root = checkout_to_write_to(tmp_path / "root")
    before = (root / "README.md").read_text()
    cells = data_arms(range(5))
    drawings = finish(tmp_path / "drawings", cells, {**SETTINGS, "pool": "drawings"}, classes=6, items=60)
    assert "is unfinished" in clip_pages.take_over(drawings, root)[1]
    write_figures(drawings, pool="drawings")
    told = clip_pages.take_over(drawings, root)
    stored = root / clip_pages.BESIDE["drawings"]
    assert told == [
        "wrote 25 rows to tests/benchmarks/clip_drawings/results.parquet",
        "wrote tests/benchmarks/clip_drawings/benchmark.json: make benchmark-grid shows it beside its own pool",
    ]
    assert not (root / clip_pages.GRID).exists() and (root / "README.md").read_text() == before
    # As --beside reads it.
    beside = read_report(stored)
    assert (beside.facts["pool"], len(beside.settings)) == ("drawings", 5)


def test_figures_that_are_not_those_of_the_rows_are_refused(grid, tmp_path):
    root = checkout_to_write_to(tmp_path / "root")
    before = (root / "README.md").read_text()
    with pytest.raises(InputError, match=r"holds no readable settings\.json"):
        clip_pages.take_over(tmp_path / "none", root)
    folder = finish(tmp_path / "part", fractional(range(5))[:3])
    (folder / "benchmark.json").write_bytes((grid / "benchmark.json").read_bytes())
    with pytest.raises(InputError, match="is of 115 trainings, and there are rows of 3: finish the grid"):
        clip_pages.take_over(folder, root)
    write_figures(folder)
    with pytest.raises(InputError, match="lacks seeds of clip, "):
        clip_pages.take_over(folder, root)
    name = f"cells/{Cell(seed=4).name}.parquet"
    (folder / name).write_bytes((finish(tmp_path / "x", [Cell(seed=4)], {**SETTINGS, "steps": 2}) / name).read_bytes())
    with pytest.raises(OutputExistsError, match="was made with other settings"):
        clip_pages.take_over(folder, root)
    assert (root / "README.md").read_text() == before


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert clip_pages.main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert clip_pages.main([]) == 2
    assert capsys.readouterr().err == "usage: python .ci/clip_pages.py FOLDER [--replace]\n"
