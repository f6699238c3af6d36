"""Whole runs: a curated set from archives or from another run, and a metadata list from WordNet and Wikipedia."""

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Literal

from pyspark.sql import SparkSession

from metaclip_spark.config.curation import (
    ExportConfig,
    ExtractConfig,
    LanguageConfig,
    MatchConfig,
    OutputConfig,
    SampleConfig,
)
from metaclip_spark.config.exclusion import ExcludeConfig, RebalanceConfig, RedrawConfig
from metaclip_spark.config.fields import listed, path_text
from metaclip_spark.config.metadata import MetadataOutput, MetadataSources, MetadataThresholds
from metaclip_spark.config.requirements import RequireConfig
from metaclip_spark.entries import Metadata, as_metadata, check_matchable, load_to_match, read_unchecked_entries
from metaclip_spark.errors import MetadataError, counted
from metaclip_spark.library.arguments import arguments_named, configurations
from metaclip_spark.library.run import Run, open_run
from metaclip_spark.library.session import activate, session_for
from metaclip_spark.library.whole_run import curate_run, rebalance_run
from metaclip_spark.metadata_builder import build, entry_list, lint
from metaclip_spark.reports.checks import check_requirements
from metaclip_spark.reports.report import check_plausible

Paths = str | PathLike[str] | Iterable[str | PathLike[str]]

_CURATION = (
    OutputConfig,
    ExtractConfig,
    MatchConfig,
    LanguageConfig,
    ExcludeConfig,
    SampleConfig,
    ExportConfig,
    RequireConfig,
)
_REBALANCING = (OutputConfig, RebalanceConfig, ExcludeConfig, RedrawConfig, ExportConfig, RequireConfig)
_METADATA = (MetadataSources, MetadataThresholds, MetadataOutput)


def curate(
    archives: Paths = (),
    *,
    metadata: Metadata | str | PathLike[str] | Sequence[str],
    output: str | PathLike[str],
    threshold_t: float | str | None = None,
    tail_share: float | None = None,
    target_pairs: int | str | None = None,
    seed: int = 0,
    languages: str | Sequence[str] = (),
    require: str | Sequence[str] = (),
    resume: bool = False,
    spark: SparkSession | None = None,
    **options: Any,
) -> Run:
    """Curates a balanced image-text dataset: extract, match, count, sample and report.

    Does what `metaclip-spark curate` does: same folder, same rows, same rules for resuming. Choose t by exactly one of
    `threshold_t`, `tail_share` and `target_pairs`.

    Args:
        archives: WARC, WAT or ARC files, globs, folders, or path lists (*.paths, *.txt); on this machine or in a store.
        metadata: The metadata list, its file, or its entries.
        output: Folder of the run, on this machine or in a store.
        threshold_t: Entry count above which an entry's pairs are thinned out: an integer of at least 1, or inf.
        tail_share: Choose t so that the entries below it have this share of all matches (the paper's pool: 0.06).
        target_pairs: Choose the smallest t whose expected size reaches this many pairs, such as "10M".
        seed: Seed of the draws, from 0 to 2^64 - 1.
        languages: Keep pairs whose text is in one of these languages: fastText codes, such as ["en", "de"].
        require: Checks of the report's numbers, such as ["curated>=1", "matched_share>=30%"]; see `Report.check`.
        resume: Go on with the run in the output folder, and keep finished work; an empty folder is fine, too.
        spark: The session; None takes the active one, or starts a local one.
        **options: Any other option of the command, with underscores: overwrite, pool, crawl, max_rejects, buckets,
            identify_language, entry_counts, export_curated ...

    Returns:
        The finished run.

    Raises:
        ConfigError: If an argument is unknown or out of range, or contradicts another.
        InputError: If an archive that is named does not exist.
        MetadataError: If the metadata list, or counts made with another list, must be changed.
        SchemaMismatchError: If the pool, scores or another table that is named lacks a column, or has it with another
            type.
        OutputExistsError: If the output holds a run and neither `resume` nor `overwrite` is set, or another driver has
            the run.
        TooManyRejectsError: If more records or archives were lost than the limits allow; what was done stays.
        SuspectSampleError: If the curated set's size is further off the expected one than chance allows.
        RequirementError: If a check of `require` fails; the run is finished, and stays.

    Example:
        >>> from metaclip_spark import curate
        >>> run = curate(
        ...     "tests/data/sample/*.warc.gz",
        ...     metadata="tests/data/wordnet_lemmas.txt.gz",
        ...     output="demo-output",
        ...     threshold_t=20,
        ...     resume=True,
        ... )
        >>> run.curated.count()
        3268
    """
    known = None if metadata is None or isinstance(metadata, str | PathLike) else as_metadata(metadata)
    given = {
        "archives": archives,
        "metadata": metadata if known is None else f"{counted(len(known), 'entry', 'entries')} in memory",
        "output": output,
        "threshold_t": threshold_t,
        "tail_share": tail_share,
        "target_pairs": target_pairs,
        "seed": seed,
        "languages": languages,
        "require": require,
        "resume": resume,
        **options,
    }
    with arguments_named(*_CURATION):
        _curate(given, known, spark)
    return open_run(output, spark)


def _curate(given: dict[str, Any], metadata: Metadata | None, spark: SparkSession | None) -> None:
    output, extract, match, language, exclude, sample, export, require = configurations("curate", given, *_CURATION)
    if metadata is None:
        known = load_to_match(match)
    else:
        check_matchable(metadata, "metadata")
        known = metadata
    activate(spark)
    _, report = curate_run(
        output, extract, match, language, exclude, sample, export, known, requirements=require.requirements
    )
    check_plausible(report)
    check_requirements(report)


def rebalance(
    from_run: str | PathLike[str],
    *,
    output: str | PathLike[str],
    threshold_t: float | str | None = None,
    tail_share: float | None = None,
    target_pairs: int | str | None = None,
    downloaded: Paths = (),
    attempted: Literal["curated", "matched"] = "curated",
    refill_plan: bool = False,
    require: str | Sequence[str] = (),
    resume: bool = False,
    spark: SparkSession | None = None,
    **options: Any,
) -> Run:
    r"""Balances anew what a download or rules have left of a finished run, which is only read.

    Does what `metaclip-spark rebalance` does. Where only curated pairs were attempted, entry counts are estimated with
    the chance that each pair had of being attempted, and the draw is nested in the one before. Choose t by exactly one
    of `threshold_t`, `tail_share` and `target_pairs`.

    Args:
        from_run: Folder of the finished run.
        output: Folder of the new run, on this machine or in a store.
        threshold_t: Entry count above which an entry's pairs are thinned out: an integer of at least 1, or inf.
        tail_share: Choose t so that the entries below it have this share of all matches.
        target_pairs: Choose the smallest t whose expected size reaches this many pairs, such as "10M".
        downloaded: What became of the images: the Parquet of img2dataset, or any with pair_id or image_url, and status.
        attempted: What was to be downloaded of the finished run: its curated pairs, or all of its matched ones.
        refill_plan: Write `Run.refill`, too: what else to download so that enough pairs survive.
        require: Checks of the report's numbers, such as ["curated>=1"]; see `Report.check`.
        resume: Go on with the run in the output folder, and keep finished work; an empty folder is fine, too.
        spark: The session; None takes the active one, or starts a local one.
        **options: Any other option of the command, with underscores: block_urls, scores, keep_where,
            respect_preferences, seed, overwrite, export_curated ...

    Returns:
        The new run, finished.

    Raises:
        ConfigError: If an argument is unknown or out of range, or contradicts another or the finished run, such as
            another seed.
        InputError: If `from_run` is no finished run, or what else is named does not exist or is of another run.
        SchemaMismatchError: If the download, scores or another table that is named lacks a column, or has it with
            another type.
        OutputExistsError: If the output holds a run and neither `resume` nor `overwrite` is set, or another driver has
            the run.
        SuspectSampleError: If the curated set's size is further off the expected one than chance allows.
        RequirementError: If a check of `require` fails; the run is finished, and stays.

    Example:
        >>> from pathlib import Path
        >>> from metaclip_spark import open_run, rebalance
        >>> lost = [row.pair_id for row in open_run("demo-output").curated.orderBy("pair_id").take(100)]
        >>> _ = Path("lost.txt").write_text("\n".join(lost))
        >>> run = rebalance("demo-output", output="rebalanced", threshold_t=20, block_pairs="lost.txt", resume=True)
        >>> run.curated.count() <= 3268 - 100
        True
    """
    given = {
        "from_run": from_run,
        "output": output,
        "threshold_t": threshold_t,
        "tail_share": tail_share,
        "target_pairs": target_pairs,
        "downloaded": downloaded,
        "attempted": attempted,
        "refill_plan": refill_plan,
        "require": require,
        "resume": resume,
        **options,
    }
    with arguments_named(*_REBALANCING):
        place, which, exclude, redraw, export, checks = configurations("rebalance", given, *_REBALANCING)
        activate(spark)
        _, report = rebalance_run(place, which, exclude, redraw, export, requirements=checks.requirements)
        check_plausible(report)
        check_requirements(report)
    return open_run(output, spark)


def build_metadata(output: str | PathLike[str], *, spark: SparkSession | None = None, **options: Any) -> Metadata:
    r"""Builds a metadata list from WordNet, Wikipedia articles and page views, and writes it.

    The numbers 0 to 99 come first. The same inputs and thresholds give the same list ("Demystifying CLIP Data",
    table 1 and section 3.1).

    Args:
        output: Folder for metadata.json, metadata.parquet (with sources) and metadata.run.json (how it came about).
        spark: The session; None takes the active one, or starts a local one.
        **options: The options of `metaclip-spark build-metadata`, with underscores: wordnet, articles, pageviews,
            unigram_counts, min_pmi, max_entries, overwrite ...

    Returns:
        The list.

    Raises:
        ConfigError: If an argument is unknown or out of range, or no source is given.
        InputError: If a source does not exist.
        MetadataError: If a source cannot be used, or no source gives an entry.
        OutputExistsError: If the output holds a list and `overwrite` is not set.

    Example:
        >>> from pathlib import Path
        >>> from metaclip_spark import build_metadata
        >>> lines = "dog\t900\ncat\t300\naxolotl\t7\n"
        >>> _ = Path("counts.tsv").write_text(lines)
        >>> metadata = build_metadata("my-metadata", unigram_counts="counts.tsv", min_unigram_count=100, overwrite=True)
        >>> [entry for entry in metadata if not entry.isdecimal()]
        ['dog', 'cat']
    """
    with arguments_named(*_METADATA):
        sources, thresholds, place = configurations("build_metadata", {"output": output, **options}, *_METADATA)
        built = build.build_metadata(session_for(spark), sources, thresholds, place)
    return Metadata(tuple(built.entries), entry_list.digest_of(built.entries))


def lint_metadata(metadata: str | PathLike[str] | Sequence[object] | Metadata) -> list[lint.Finding]:
    """Finds entries of a metadata list that cannot match, repeat another, or deserve a look.

    Args:
        metadata: A file in any form that `Metadata.load` reads, or a list; it may hold anything.

    Returns:
        Each a `Finding` (`name`, `severity`, `ids` of the entries): errors first, then warnings, then infos.

    Raises:
        MetadataError: If the file is missing or has another form, or `metadata` is neither a file nor a list.

    Example:
        >>> from metaclip_spark import lint_metadata
        >>> for finding in lint_metadata(["dog", "St. Louis", "dog", "the"]):
        ...     print(finding.severity, finding.name, finding.ids)
        error repeats an earlier entry (2,)
        error can never match (1,)
        info stop word (3,)
    """
    if isinstance(metadata, str | PathLike):
        return lint.lint_entries(read_unchecked_entries(path_text(metadata)))
    return lint.lint_entries(listed("metadata", metadata, "a Metadata, a path, or a list", MetadataError))
