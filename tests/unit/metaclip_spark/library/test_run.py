"""Whole runs by library functions: made, opened, and asked."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.dataset
import pytest

from metaclip_spark import (
    ConfigError,
    EntryCounts,
    InputError,
    Metadata,
    MetadataError,
    OutputExistsError,
    RequirementError,
    Run,
    build_metadata,
    curate,
    lint_metadata,
    open_run,
)
from metaclip_spark.library.session import activate
from metaclip_spark.reports.public.export import MARK
from metaclip_spark.steps.schemas import spark_schema
from tests.support import oracle
from tests.support.jobs import CHECKOUT, METADATA, SAMPLE, report_of, state_of
from tests.support.runs import unfinish, write_newer
from udfs.schemas import CURATED, DRAWN, OPTIONAL_COLUMNS, PAIRS

ARCHIVES = sorted(SAMPLE.glob("*.warc.gz"))
THRESHOLD = 20

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def folder(demo):
    return demo / "demo-output"


@pytest.fixture(scope="module")
def run(folder, spark):
    return open_run(folder, spark)


@pytest.fixture(scope="module")
def expected():
    """What the oracle makes of the same archives."""
    pool = oracle.pool(oracle.oracle_pairs(ARCHIVES))
    matched = oracle.match(pool, oracle.read_entries(METADATA))
    counts = oracle.count(matched, oracle.read_entries(METADATA))
    return {"pool": pool, "matched": matched, "counts": counts, "curated": oracle.keep(matched, counts, THRESHOLD, 0)}


def test_a_run_of_an_earlier_version_has_null_in_the_columns_that_it_lacks(spark, tmp_path):
    earlier = open_run(shutil.copytree(CHECKOUT / "tests/data/stored_run/finished", tmp_path / "run"), spark)
    for table, schema in ((earlier.pool, PAIRS), (earlier.matched, DRAWN), (earlier.curated, CURATED)):
        assert table.schema.simpleString() == spark_schema(schema).simpleString()
        assert {tuple(row) for row in table.select(*OPTIONAL_COLUMNS).collect()} == {(None, None)}


def copied(folder, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(folder, target)
    return target


def test_the_tables_are_those_of_the_oracle(run, expected):
    for name in ("pool", "matched", "curated"):
        found = {row.pair_id for row in getattr(run, name).select("pair_id").collect()}
        assert found == {row["pair_id"] for row in expected[name]}
        assert found
    assert {row.archive for row in run.archives.collect()} == {path.name for path in ARCHIVES}
    assert {row.stage for row in run.rejects.collect()} >= {"image", "text"}
    assert {row.language for row in run.matched.select("language").distinct().collect()} > {"en", "de"}


def test_what_was_dropped_is_what_was_matched_and_not_kept(run, expected):
    kept = {row["pair_id"]: row["keep_probability"] for row in expected["curated"]}
    matched = {row["pair_id"] for row in expected["matched"]}
    dropped = run.dropped.collect()
    assert sorted(row.pair_id for row in dropped) == sorted(matched - set(kept))
    assert {row.reason for row in dropped} == {"not_drawn"}
    assert all(row.draw >= row.keep_probability for row in dropped)
    curated = run.matched.where("draw < keep_probability").collect()
    assert {row.pair_id: row.keep_probability for row in curated} == pytest.approx(kept)


def test_counts_and_list_are_those_of_the_run(run, expected):
    assert run.entry_counts.counts.tolist() == expected["counts"]
    metadata = run.metadata
    assert metadata == Metadata.load(METADATA)
    assert isinstance(metadata, Metadata)


def test_the_report_is_that_of_the_job(run, folder):
    stored = report_of(folder)
    assert run.report.real_size == stored["real_size"] == run.curated.count()
    assert run.report.threshold_t == THRESHOLD
    for line in run.report.funnel:
        assert line.in_number == line.out_number + sum(line.reasons.values())
    frame = run.report.to_pandas()
    assert frame[(frame["from"] == "matched") & (frame["to"] == "curated")]["count"].tolist() == [stored["real_size"]]
    assert "Funnel" in str(run.report)
    assert len(run.report.most_cut()) == len(stored["profile"]["most_cut"]) > 0
    assert len(run.report.most_kept()) == len(stored["profile"]["most_kept"]) > 0
    assert run.report.coverage().matched.sum() == stored["entries"]


def test_a_notebook_shows_the_page_without_letting_it_act(run):
    shown = run.report._repr_html_()
    assert shown.startswith("<iframe sandbox srcdoc=")
    assert shown.count("<") == 2
    assert len(repr(run.report)) < 100


def test_charts_are_pictures_and_files(run, tmp_path):
    for chart in (run.report.plot_head_and_tail(), run.report.plot_cumulative(), run.plan().plot()):
        assert chart._repr_png_().startswith(b"\x89PNG")
        chart.save(str(tmp_path / "chart.svg"))
        assert "<svg" in (tmp_path / "chart.svg").read_text()
    with pytest.raises(ConfigError, match=r"chart\.gif must end in one of"):
        chart.save(str(tmp_path / "chart.gif"))


def test_explanations_say_where_a_pair_left(run, expected):
    kept = {row["pair_id"] for row in expected["curated"]}
    matched = {row["pair_id"] for row in expected["matched"]}
    for row, stage in (
        (next(row for row in expected["pool"] if row["pair_id"] in kept), "curated"),
        (next(row for row in expected["matched"] if row["pair_id"] not in kept), "sample"),
        (next(row for row in expected["pool"] if row["pair_id"] not in matched), "match"),
    ):
        explanation = run.explain(pair_id=row["pair_id"])
        assert [pair.stage for pair in explanation.pairs] == [stage]
        assert "verdict" in str(explanation) == repr(explanation)
        assert row["pair_id"] in {pair.pair_id for pair in run.explain(url=row["image_url"]).pairs}
    answer = run.explain(text="a dog that no page has")
    assert answer.pairs == []
    assert "dog" in {entry.entry_text for entry in answer.text.entries}
    assert "the pool has no pair with this text" in str(answer)


def test_a_question_names_one_thing(run):
    with pytest.raises(ConfigError, match=r"^give exactly one of pair_id, url, text and entry$"):
        run.explain()
    with pytest.raises(ConfigError, match=r"^pair_id is 'x': it must be 32 hex digits"):
        run.explain(pair_id="x")


def test_a_plan_gives_the_expected_sizes(run, expected):
    plan = run.plan(thresholds=[THRESHOLD])
    assert plan.chosen is None
    assert plan.pairs == len(expected["matched"])
    (row,) = [row for row in plan.rows if row.threshold_t == THRESHOLD]
    assert plan.rows == run.plan(thresholds=THRESHOLD).rows == run.plan(thresholds=str(THRESHOLD)).rows
    wanted = oracle.expected_size(expected["matched"], expected["counts"], THRESHOLD)
    assert row.expected_size == pytest.approx(wanted, abs=0.01)
    frame = plan.to_pandas()
    assert frame.threshold_t.tolist() == sorted(row.threshold_t for row in plan.rows)
    assert "matched pairs" in str(plan)
    assert run.plan(tail_share=0.06).chosen == oracle.tail_share_threshold(expected["counts"], "0.06")
    half = run.plan(target_pairs=plan.pairs // 2)
    sizes = {row.threshold_t: row.expected_size for row in half.rows}
    assert sizes[half.chosen] >= plan.pairs // 2


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"tail_share": 0.06, "target_pairs": 5}, "at most one of tail_share and target_pairs"),
        ({"tail_share": 6}, r"^tail_share is 6: it must be "),
        ({"target_pairs": "10M"}, r"^target_pairs 10,000,000 is more than the "),
        ({"thresholds": [0]}, r"^thresholds must be a whole number, 1 or more, or inf \(got '0'\)"),
    ],
)
def test_plans_that_make_no_sense_are_refused(run, question, message):
    with pytest.raises(ConfigError, match=message):
        run.plan(**question)


def test_a_run_is_compared_with_runs_and_counts(run, folder, tmp_path):
    (tmp_path / "counts.json").write_text(json.dumps({"dog": 5, "cat": 3}))
    for other in (run, folder, str(folder)):
        compared = run.compare(other)
        assert compared.rank_correlation == 1
        assert compared.runs
        assert len(compared.to_pandas()) == 0
    of_file = run.compare(tmp_path / "counts.json")
    of_counts = run.compare(EntryCounts(("dog", "cat"), np.array([5, 3])))
    assert of_file.shared == of_counts.shared == 2
    assert of_file.moves == of_counts.moves
    assert list(of_counts.to_pandas().columns)[:3] == ["entry_text", "count_here", "count_there"]
    assert "2 entries in both" in str(of_counts)
    with pytest.raises(MetadataError, match="no such file"):
        run.compare(tmp_path / "missing.json")


def test_the_comparison_with_the_paper_says_when_it_is_void(run):
    compared = run.compare_with_paper()
    assert not compared.is_valid
    assert compared.verdict.startswith(
        "Not comparable: the list has 86,654 entries (paper: 500,000) and texts were not filtered to English."
    )
    frame = compared.to_pandas()
    shares = dict(zip(frame.fact, frame.run, strict=True))
    assert shares["tail share at t"] == run.entry_counts.tail_share(THRESHOLD)
    assert len(frame) == 5


def test_a_run_is_shown_in_one_line(run, folder):
    assert repr(run) == f"Run({str(folder)!r}, {run.report.real_size:,} curated pairs at t = 20)"


def test_the_given_session_is_used(folder, spark):
    other = spark.newSession()
    try:
        opened = open_run(folder, other)
        assert opened.spark._jsparkSession.equals(other._jsparkSession)
        assert opened.pool.sparkSession._jsparkSession.equals(other._jsparkSession)
    finally:
        activate(spark)
    assert open_run(folder).spark._jsparkSession.equals(spark._jsparkSession)


def test_paths_and_the_report_need_no_spark(folder):
    program = f"""
from pyspark.sql import SparkSession
from metaclip_spark import open_run
run = open_run({str(folder)!r})
print(run, run.curated_path, run.report._repr_html_().count("<iframe"), SparkSession.getActiveSession(), sep="|")
"""
    without_java = {"PATH": "", "PYTHONPATH": str(CHECKOUT), "JAVA_HOME": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", program], env=without_java, capture_output=True, text=True, check=True)
    shown, path, pages, session = done.stdout.strip().split("|")
    assert (shown, path) == (repr(open_run(folder)), open_run(folder).curated_path)
    assert (pages, session) == ("1", "None")


def test_a_question_may_be_what_starts_spark(folder):
    program = f"""
from metaclip_spark import open_run
print(len(open_run({str(folder)!r}).explain(text="never in the sample").pairs))
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=CHECKOUT)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr[-1000:]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError) as caught:
            open_run(path)
        message = str(caught.value)
        assert message.startswith(f"{path} is not a run")
        assert len(message.splitlines()) == 1


def test_an_unfinished_run_is_refused(folder, tmp_path):
    unfinished = copied(folder, tmp_path)
    unfinish(unfinished)
    with pytest.raises(InputError) as caught:
        open_run(unfinished)
    message = str(caught.value)
    assert message.startswith(f"{unfinished} is unfinished")
    assert "resume=True" in message
    assert len(message.splitlines()) == 1


def test_a_run_of_another_layout_is_refused(folder, tmp_path):
    newer = copied(folder, tmp_path)
    write_newer(newer)
    with pytest.raises(InputError, match=r"in layout 99; this version reads layout 2"):
        open_run(newer)


def test_a_run_without_its_report_is_refused(folder, tmp_path):
    without = copied(folder, tmp_path)
    file = f"{state_of(without).finished.report}/report.json"
    (without / file).unlink()
    with pytest.raises(InputError, match="has no report: run metaclip-spark report"):
        _ = open_run(without).report


def test_a_run_is_resumed_and_rows_stay(folder, tmp_path, expected):
    again = copied(folder, tmp_path)
    metadata = Metadata.load(METADATA)
    done = curate(ARCHIVES, metadata=metadata, output=again, threshold_t="inf", languages="en", resume=True)
    assert isinstance(done, Run)
    assert done.report.threshold_t == "inf"
    assert done.curated.count() == done.matched.where("language = 'en'").count() > 0
    assert {row.pair_id for row in done.matched.select("pair_id").collect()} == {
        row["pair_id"] for row in expected["matched"]
    }
    assert done.path == str(again)


def test_a_run_that_is_not_as_required_is_an_error_and_stays(folder, tmp_path):
    again = copied(folder, tmp_path)
    given = {"metadata": METADATA, "output": again, "threshold_t": 20, "resume": True}
    with pytest.raises(
        RequirementError, match=r"^require curated<=10: curated is 3,268; see the funnel in the report$"
    ):
        curate(ARCHIVES, **given, require=["curated<=10", "pool>1"])
    assert [check.passed for check in open_run(again).report.checks] == [False, True]
    assert "FAIL curated<=10: 3,268\n  ok   pool>1: " in str(open_run(again).report)
    assert curate(ARCHIVES, **given, require="curated>10").report.checks[0].value == 3268


def test_nothing_is_printed_on_stdout(folder, tmp_path, capfd):
    curate(ARCHIVES, metadata=METADATA, output=copied(folder, tmp_path), threshold_t=20, resume=True)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"treshold_t": 5}, ConfigError, r"^curate has no argument 'treshold_t': did you mean threshold_t\?$"),
        ({"threshold_t": None}, ConfigError, "exactly one of threshold_t, tail_share and target_pairs"),
        ({"tail_share": 0.06}, ConfigError, "exactly one of threshold_t, tail_share and target_pairs"),
        ({"threshold_t": 0}, ConfigError, "^threshold_t must be a whole number"),
        ({"seed": -1}, ConfigError, "^seed is -1: it must be"),
        ({"require": "curated"}, ConfigError, "^require 'curated': give a name, one of"),
        ({"require": [5]}, ConfigError, "^require is '5': it must be a text"),
        ({"max_rejects": 2}, ConfigError, "^max_rejects is 2: it must be"),
        ({"languages": ["english"]}, ConfigError, "^languages english: fastText knows no such language"),
        ({"archives": ()}, ConfigError, "give exactly one of archives, pool and crawl"),
        ({"archives": "missing.warc.gz"}, InputError, r"missing\.warc\.gz"),
        ({"metadata": "missing.txt"}, MetadataError, r"^metadata missing\.txt: no such file"),
        ({"output": ""}, ConfigError, "^output is empty"),
        ({}, OutputExistsError, "holds a run: resume=True goes on with it, overwrite=True"),
    ],
)
def test_bad_arguments_get_one_clear_line(folder, changed, error, message):
    given = {"archives": ARCHIVES, "metadata": METADATA, "output": folder, "threshold_t": 20} | changed
    with pytest.raises(error, match=message) as caught:
        curate(given.pop("archives"), **given)
    assert len(str(caught.value).splitlines()) == 1


def test_a_metadata_list_is_built(tmp_path):
    (tmp_path / "words.tsv").write_text("dog\t900\ncat\t300\naxolotl\t7\n")
    built = build_metadata(tmp_path / "list", unigram_counts=tmp_path / "words.tsv", min_unigram_count=100)
    assert built == Metadata.load(tmp_path / "list" / "metadata.json")
    assert [entry for entry in built if not entry.isdecimal()] == ["dog", "cat"]
    with pytest.raises(OutputExistsError, match="another output, or overwrite=True"):
        build_metadata(tmp_path / "list", unigram_counts=tmp_path / "words.tsv")
    with pytest.raises(ConfigError, match="no source given: give wordnet"):
        build_metadata(tmp_path / "other")


def test_a_list_is_linted_in_every_form(tmp_path):
    entries = ["dog", "dog", "a", "St. Louis"]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    found = {finding.name: finding.ids for finding in lint_metadata(entries)}
    assert found["repeats an earlier entry"] == (1,)
    assert found["can never match"] == (3,)
    assert lint_metadata(tmp_path / "list.json") == lint_metadata(entries)
    assert lint_metadata(Metadata.from_entries(["dog"])) == []


def test_the_curated_pairs_are_copied_into_an_empty_folder(run, expected, tmp_path):
    folder = tmp_path / "for training"
    assert run.export_curated(folder) == str(folder)
    rows = pyarrow.dataset.dataset(str(folder)).to_table().to_pylist()
    assert sorted(row["pair_id"] for row in rows) == sorted(row["pair_id"] for row in expected["curated"])
    copied = run.spark.read.parquet(str(folder))
    assert copied.schema == run.curated.schema
    assert copied.exceptAll(run.curated).count() == 0
    for taken in (folder, run.path, f"{run.path}/exported"):
        with pytest.raises(ConfigError, match=r"^export_curated .*: give a(n empty folder| folder outside of it)"):
            run.export_curated(taken)


def test_a_resumed_run_finishes_its_export(folder, expected, tmp_path, spark):
    copy = copied(folder, tmp_path)
    given = {"metadata": METADATA, "output": copy, "threshold_t": THRESHOLD, "identify_language": True, "spark": spark}
    export = tmp_path / "export"
    with pytest.raises(ConfigError, match="overlap: give a folder outside of it"):
        curate(SAMPLE / "*.warc.gz", **given, resume=True, export_curated=copy / "export")
    run = curate(SAMPLE / "*.warc.gz", **given, resume=True, export_curated=export)
    files = sorted(export.glob("*.parquet"))
    curate(SAMPLE / "*.warc.gz", **given, resume=True, export_curated=export)
    assert sorted(export.glob("*.parquet")) == files
    # A driver that was killed left a file, and no word that the copy is whole.
    mark = export / MARK
    mark.write_text(mark.read_text().replace("true", "false"))
    shutil.copy(files[0], export / "part-9.parquet")
    curate(SAMPLE / "*.warc.gz", **given, resume=True, export_curated=export)
    assert pyarrow.dataset.dataset(str(export)).count_rows() == len(expected["curated"]) == run.curated.count()


def test_a_copy_that_lacks_rows_is_no_copy(run, tmp_path, monkeypatch):
    monkeypatch.setattr("metaclip_spark.reports.public.export._rows", lambda _: 7)
    with pytest.raises(InputError, match=r"holds 7 pairs where the run has 3,268"):
        run.export_curated(tmp_path / "export")
    assert json.loads((tmp_path / "export" / MARK).read_text())["whole"] is False


def test_the_curated_path_is_a_folder_of_one_curated_set(run):
    assert run.curated_path.startswith(f"{run.path}/curated-00000001-")
    assert pyarrow.dataset.dataset(run.curated_path).count_rows() == run.curated.count()
