"""metaclip-spark as a library: curation of image-text pairs as in "Demystifying CLIP Data", with Spark.

What this package exports follows semantic versioning; its modules may move. A name is loaded when it is first used, so
that importing the package needs neither Spark nor numba.

Raises:
    ImportError: If another project's top-level package `udfs` hides ours.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import udfs

if TYPE_CHECKING:
    from metaclip_spark.balance import (
        ExpectedSize,
        entry_probabilities,
        keeps_in_epoch,
        tail_share,
        threshold_for_tail_share,
    )
    from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig
    from metaclip_spark.config.exclusion import ExcludeConfig
    from metaclip_spark.entries import Metadata
    from metaclip_spark.errors import (
        ConfigError,
        CurationError,
        InputError,
        MetadataError,
        OutputExistsError,
        RequirementError,
        SchemaMismatchError,
        SuspectSampleError,
        TooManyRejectsError,
    )
    from metaclip_spark.library.curation import build_metadata, curate, lint_metadata, rebalance
    from metaclip_spark.library.entry_counts import EntryCounts
    from metaclip_spark.library.explanation import Explanation
    from metaclip_spark.library.matcher import Matcher
    from metaclip_spark.library.pages import Pair, pairs_from_html, pairs_from_record, read_archive
    from metaclip_spark.library.plan import ThresholdPlan
    from metaclip_spark.library.report import Chart, Comparison, PaperComparison, Report
    from metaclip_spark.library.run import Run, open_run
    from metaclip_spark.library.steps import (
        ExtractedArchives,
        count_entries,
        deduplicate_pairs,
        expected_sizes,
        extract_archives,
        filter_languages,
        match_pairs,
        sample_pairs,
    )
    from metaclip_spark.metadata_builder.lint import Finding
    from metaclip_spark.steps.match import entry_ids_udf
    from udfs.archives import ArchiveRecord, Damage

__version__ = "0.2.0"

__all__ = [
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

_MODULES = {
    "metaclip_spark.balance": (
        "ExpectedSize",
        "entry_probabilities",
        "keeps_in_epoch",
        "tail_share",
        "threshold_for_tail_share",
    ),
    "metaclip_spark.config.curation": (
        "ExtractConfig",
        "LanguageConfig",
        "MatchConfig",
        "OutputConfig",
        "SampleConfig",
    ),
    "metaclip_spark.config.exclusion": ("ExcludeConfig",),
    "metaclip_spark.entries": ("Metadata",),
    "metaclip_spark.errors": (
        "ConfigError",
        "CurationError",
        "InputError",
        "MetadataError",
        "OutputExistsError",
        "RequirementError",
        "SchemaMismatchError",
        "SuspectSampleError",
        "TooManyRejectsError",
    ),
    "metaclip_spark.library.curation": (
        "build_metadata",
        "curate",
        "lint_metadata",
        "rebalance",
    ),
    "metaclip_spark.library.entry_counts": ("EntryCounts",),
    "metaclip_spark.library.explanation": ("Explanation",),
    "metaclip_spark.library.matcher": ("Matcher",),
    "metaclip_spark.library.pages": (
        "Pair",
        "pairs_from_html",
        "pairs_from_record",
        "read_archive",
    ),
    "metaclip_spark.library.plan": ("ThresholdPlan",),
    "metaclip_spark.library.report": (
        "Chart",
        "Comparison",
        "PaperComparison",
        "Report",
    ),
    "metaclip_spark.library.run": (
        "Run",
        "open_run",
    ),
    "metaclip_spark.library.steps": (
        "ExtractedArchives",
        "count_entries",
        "deduplicate_pairs",
        "expected_sizes",
        "extract_archives",
        "filter_languages",
        "match_pairs",
        "sample_pairs",
    ),
    "metaclip_spark.metadata_builder.lint": ("Finding",),
    "metaclip_spark.steps.match": ("entry_ids_udf",),
    "udfs.archives": (
        "ArchiveRecord",
        "Damage",
    ),
}
"""Module -> the public names that it holds."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

if getattr(udfs, "OWNER", None) != "metaclip_spark":
    raise ImportError(
        f"the package 'udfs' at {list(udfs.__path__)} belongs to another project and hides metaclip-spark's: "
        "install metaclip-spark into an environment of its own"
    )


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used (PEP 562).

    Raises:
        AttributeError: If there is no such public name.
    """
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'metaclip_spark' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
