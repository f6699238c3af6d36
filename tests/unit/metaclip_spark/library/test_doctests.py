"""The examples in the docstrings of the public names do what they show."""

import doctest
import inspect

import pytest

import metaclip_spark
from tests.support.paths import CHECKOUT

SHOWN_BY = {
    "ArchiveRecord": "read_archive",
    "Damage": "read_archive",
    "ExpectedSize": "expected_sizes",
    "ExtractedArchives": "extract_archives",
    "Finding": "lint_metadata",
}
"""Types whose use the example of a function shows."""

CONFIGURATIONS = {"ExtractConfig", "LanguageConfig", "MatchConfig", "OutputConfig", "SampleConfig"}
"""Whose fields are the options of the jobs and the further arguments of `curate`."""

NEED_SPARK = {
    "Chart",
    "Comparison",
    "Explanation",
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


@pytest.mark.parametrize("name", sorted(set(metaclip_spark.__all__) - CONFIGURATIONS))
def test_every_function_and_class_has_an_example(name):
    found = getattr(metaclip_spark, name)
    is_error = inspect.isclass(found) and issubclass(found, Exception)
    shown = examples_of(SHOWN_BY.get(name, name))
    assert is_error or any(name in example.docstring for example in shown) or (shown and name not in SHOWN_BY)


@pytest.mark.parametrize("name", WITHOUT_SPARK)
def test_examples_that_need_no_spark(name, monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    run_examples(name)


@pytest.mark.parametrize("name", sorted(NEED_SPARK))
def test_examples_that_need_spark(name, demo, monkeypatch):
    monkeypatch.chdir(demo)
    run_examples(name)
