"""What the package promises: its names, and that importing it costs nothing."""

import ast
import json
import subprocess
import sys

import pytest

import metaclip_spark
from tests.support.paths import CHECKOUT

NAMES = [
    "ArchiveRecord",
    "Chart",
    "Comparison",
    "ConfigError",
    "CurationError",
    "Damage",
    "EntryCounts",
    "ExcludeConfig",
    "ExpectedSize",
    "Explanation",
    "ExtractConfig",
    "ExtractedArchives",
    "Finding",
    "InputError",
    "LanguageConfig",
    "MatchConfig",
    "Matcher",
    "Metadata",
    "MetadataError",
    "OutputConfig",
    "OutputExistsError",
    "Pair",
    "PaperComparison",
    "Report",
    "RequirementError",
    "Run",
    "SampleConfig",
    "SchemaMismatchError",
    "SuspectSampleError",
    "ThresholdPlan",
    "TooManyRejectsError",
    "build_metadata",
    "count_entries",
    "curate",
    "deduplicate_pairs",
    "entry_ids_udf",
    "entry_probabilities",
    "expected_sizes",
    "extract_archives",
    "filter_languages",
    "keeps_in_epoch",
    "lint_metadata",
    "match_pairs",
    "open_run",
    "pairs_from_html",
    "pairs_from_record",
    "read_archive",
    "rebalance",
    "sample_pairs",
    "tail_share",
    "threshold_for_tail_share",
]


def in_fresh_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout


def test_the_public_names_are_these():
    assert metaclip_spark.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_found_and_documented(name):
    found = getattr(metaclip_spark, name)
    assert (found.__doc__ or "").strip()
    assert name in dir(metaclip_spark)


def test_type_checkers_see_the_same_names():
    tree = ast.parse((CHECKOUT / "metaclip_spark" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imported = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(imported) == sorted(NAMES)
    assert imported == metaclip_spark._MODULE_OF


def test_importing_the_package_loads_nothing_heavy():
    code = "import json, sys, metaclip_spark; dir(metaclip_spark); print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(in_fresh_python(code))}
    heavy = {"pyspark", "py4j", "numba", "llvmlite", "ahocorasick", "numpy", "pyarrow", "boto3", "matplotlib", "pandas"}
    assert not loaded & heavy


def test_the_maths_of_balancing_needs_no_spark_and_no_numba():
    code = "import json, sys; from metaclip_spark import tail_share; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(in_fresh_python(code))}
    assert not loaded & {"pyspark", "py4j", "numba", "llvmlite", "ahocorasick"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'metaclip_spark' has no attribute 'curat'"):
        _ = metaclip_spark.curat
    with pytest.raises(ImportError, match="cannot import name 'curat'"):
        from metaclip_spark import curat  # noqa: F401


def test_there_is_a_version():
    assert metaclip_spark.__version__
