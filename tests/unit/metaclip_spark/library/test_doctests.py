"""The examples in the docstrings of the public names do what they show."""

import doctest

import pytest

import metaclip_spark
from tests.support.paths import CHECKOUT

NEED_SPARK = {
    "Chart",
    "Comparison",
    "Explanation",
    "ExtractedArchives",
    "OutputExistsError",
    "PaperComparison",
    "Report",
    "Run",
    "ThresholdPlan",
    "build_metadata",
    "count_entries",
    "curate",
    "deduplicate_pairs",
    "entry_ids_udf",
    "expected_sizes",
    "extract_archives",
    "filter_languages",
    "match_pairs",
    "open_run",
    "rebalance",
    "sample_pairs",
}
WITHOUT_SPARK = sorted(set(metaclip_spark.__all__) - NEED_SPARK)


def examples_of(name: str) -> list[doctest.DocTest]:
    found = getattr(metaclip_spark, name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(found, name, globs={}) if test.examples]


def run_examples(name: str) -> None:
    tests = examples_of(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", metaclip_spark.__all__)
def test_every_public_name_has_an_example_that_uses_it(name):
    examples = examples_of(name)
    assert examples
    used = "".join(step.source + step.want for example in examples for step in example.examples)
    assert name in used or not name.endswith(("Error", "Config"))


@pytest.mark.parametrize("name", WITHOUT_SPARK)
def test_examples_that_need_no_spark(name, monkeypatch, tmp_path):
    (tmp_path / "tests").symlink_to(CHECKOUT / "tests")
    monkeypatch.chdir(tmp_path)
    run_examples(name)


@pytest.mark.parametrize("name", sorted(NEED_SPARK))
def test_examples_that_need_spark(name, demo, monkeypatch):
    monkeypatch.chdir(demo)
    run_examples(name)
