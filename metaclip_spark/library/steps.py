"""The steps of a curation as functions on DataFrames, for pipelines of your own; nothing is stored."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.balance import ExpectedSize
from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, SampleConfig
from metaclip_spark.config.fields import check_engine, several
from metaclip_spark.entries import Metadata, as_metadata
from metaclip_spark.errors import ConfigError, MetadataError, brief, said_of, wrong_type
from metaclip_spark.inputs.files import resolve_archives
from metaclip_spark.inputs.remote import fetch_options
from metaclip_spark.library.arguments import arguments_named, check_table, configurations
from metaclip_spark.library.entry_counts import EntryCounts
from metaclip_spark.library.session import session_for
from metaclip_spark.steps import count, deduplicate, extract, language_filter, match, sample
from metaclip_spark.steps import thresholds as threshold_steps
from metaclip_spark.steps.schemas import require_columns
from metaclip_spark.thresholds import check_threshold
from udfs.pairs import ExtractOptions
from udfs.schemas import ARCHIVES, MATCHED, PAIRS, REJECTS


@dataclass(frozen=True)
class ExtractedArchives:
    """What extraction gave: three views of one DataFrame, which each action on one of them computes anew.

    Call `rows.cache()` to look at several views, or at one several times.

    Attributes:
        rows: One DataFrame with all rows; its column `kind` says which view a row belongs to.

    Example:
        >>> from metaclip_spark import extract_archives
        >>> extracted = extract_archives("tests/data/sample/sample-00000.warc.gz")
        >>> [row.status for row in extracted.archives.collect()]
        ['ok']
        >>> extracted.rejects.columns[:3]
        ['archive', 'record_offset', 'stage']
    """

    rows: DataFrame

    @property
    def pairs(self) -> DataFrame:
        """Raw pairs, duplicates among them."""
        return self.rows.where(F.col("kind") == "pair").select(*PAIRS.names)

    @property
    def archives(self) -> DataFrame:
        """One row per archive: its state, and what was read, found and rejected."""
        return self.rows.where(F.col("kind") == "archive").select(*ARCHIVES.names)

    @property
    def rejects(self) -> DataFrame:
        """One row per rejected archive or record, and the first few rejected images and texts per reason."""
        return self.rows.where(F.col("kind") == "reject").select(*REJECTS.names)


def extract_archives(
    archives: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    max_page_bytes: int = 32 * 1024 * 1024,
    page_timeout_seconds: float = 60.0,
    s3_access: str = "signed",
    preference_agent: str | Sequence[str] = (),
    spark: SparkSession | None = None,
) -> ExtractedArchives:
    """Extracts the image-text pairs of WARC, WAT and ARC archives.

    Bad input never raises in a worker: it becomes rejects and counts.

    Args:
        archives: Files, globs, folders, or path lists (*.paths, *.txt, plain or .gz); on this machine or in a store.
        max_page_bytes: Size above which a page or a record's body is rejected, in bytes.
        page_timeout_seconds: Processor time after which a page is given up, in seconds.
        s3_access: How archives on S3 are read: "signed", "anonymous" or "requester-pays".
        preference_agent: Agents, such as "CCBot", whose directives count in `page_preferences`, too.
        spark: The session; None takes the active one, or starts a local one.

    Returns:
        An `ExtractedArchives`, not computed yet: one task per archive.

    Raises:
        InputError: If an archive that is named does not exist.
        ConfigError: If an argument is out of range, or a session must be started and there is no Java.

    Example:
        >>> from metaclip_spark import extract_archives
        >>> extracted = extract_archives("tests/data/sample/*.warc.gz")
        >>> extracted.pairs.count()
        8574
        >>> extracted.pairs.columns[:4]
        ['pair_id', 'image_url', 'alt_text', 'source']
    """
    given = {
        "archives": archives,
        "max_page_bytes": max_page_bytes,
        "page_timeout_seconds": page_timeout_seconds,
        "s3_access": s3_access,
        "preference_agent": preference_agent,
    }
    with arguments_named(ExtractConfig):
        (config,) = configurations("extract_archives", given, ExtractConfig)
        options = fetch_options(config)
        with said_of("--archives"):
            paths = resolve_archives(config.archives, options=options)
    limits = ExtractOptions(
        max_page_bytes=config.max_page_bytes,
        page_timeout_seconds=float(config.page_timeout_seconds),
        preference_agents=config.preference_agent,
    )
    placed = extract.archive_paths(session_for(spark), paths)
    return ExtractedArchives(extract.extract_archives(placed, limits, options))


def deduplicate_pairs(pairs: DataFrame, *, partitions: int | None = None) -> DataFrame:
    """Keeps one row of each pair; the result does not depend on the order of rows or their partitions.

    Two rows are the same pair where image URL and text are. The one from the first archive, record and image stays.

    Args:
        pairs: Raw pairs, such as `ExtractedArchives.pairs`.
        partitions: Number of partitions of the result; None takes spark.sql.shuffle.partitions.

    Returns:
        The pool: the same columns, one row per pair_id, sorted by it within each partition.

    Raises:
        SchemaMismatchError: If `pairs` is not a DataFrame of Spark, lacks a column, or has it with another type.
        ConfigError: If `partitions` is not an integer of at least 1.

    Example:
        >>> from metaclip_spark import deduplicate_pairs, extract_archives
        >>> pairs = extract_archives("tests/data/sample/*.warc.gz").pairs
        >>> deduplicate_pairs(pairs).count()
        7394
    """
    check_table("pairs", pairs)
    if partitions is None:
        partitions = int(pairs.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    if isinstance(partitions, bool) or not isinstance(partitions, int | np.integer) or partitions < 1:
        raise ConfigError(f"partitions is {brief(partitions)}: it must be an integer of at least 1")
    return deduplicate.deduplicate_pairs(pairs, int(partitions))


def match_pairs(
    pool: DataFrame,
    metadata: Metadata | str | PathLike[str] | Sequence[str],
    *,
    engine: str = "token",
    identify_language: bool = False,
    language_from: str = "text",
    page_language_probability: float = 0.1,
    min_list_probability: float = 0.0,
) -> DataFrame:
    """Finds the metadata entries in each text and keeps the pairs that have one.

    The automaton is built here and distributed to the executors, each of which holds it once. With a folder of lists
    each text is matched against the list of its language.

    Args:
        pool: Distinct pairs, such as `deduplicate_pairs` gives.
        metadata: The metadata list, its file, or its entries; or a folder of lists.
        engine: "token" (compiled) or "pyahocorasick" (the published way); both find the same entries.
        identify_language: Whether to fill the columns `language` and `language_probability`, which are null otherwise;
            with a folder of lists they are always filled.
        language_from: With a folder of lists, what says the language of a text: "text" (its likeliest language), "page"
            (the column `page_language`, where that is likely enough for the text) or "column" (that column alone).
        page_language_probability: For "page", how likely the page's language must be for the text.
        min_list_probability: With a folder of lists, match texts whose language is less likely against the list other.

    Returns:
        The columns of the pool, `language`, `language_probability`, `metadata_language` (the code of the text's list;
        null with a single list), and `entry_ids`: sorted and distinct ids, of all lists together.

    Raises:
        SchemaMismatchError: If `pool` is not a DataFrame of Spark, lacks a column, or has it with another type.
        ConfigError: If there is no such engine, it does not have the word borders of the list, an argument is out of
            range, or one that is for a folder of lists is given with a single list.
        MetadataError: If `metadata` is not a metadata list, or the list cannot be used.

    Example:
        >>> from metaclip_spark import Metadata, match_pairs, open_run
        >>> metadata = Metadata.from_entries(["dog", "New York"])
        >>> matched = match_pairs(open_run("demo-output").pool, metadata)
        >>> matched.count()
        271
        >>> worldwide = match_pairs(open_run("demo-output").pool, "tests/data/languages", min_list_probability=0.5)
        >>> worldwide.where("metadata_language = 'ja'").count()
        313
    """
    check_table("pool", pool)
    check_engine(engine)
    known = as_metadata(metadata)
    given = {
        "metadata": "",
        "engine": engine,
        "word_borders": known.word_borders,
        "language_from": language_from,
        "page_language_probability": page_language_probability,
        "min_list_probability": min_list_probability,
    }
    with arguments_named(MatchConfig):
        (config,) = configurations("match_pairs", given, MatchConfig)
    if not known.lists:
        if config.for_lists:
            name = config.for_lists[0].removeprefix("--").replace("-", "_")
            raise ConfigError(f"{name} is for a folder of lists, and metadata is a single list: leave it out")
        return match.match_pairs(pool, known, engine=engine, identify_language=identify_language)
    routing = match.routing_of(
        known,
        language_from=config.language_from,
        page_language_probability=config.page_language_probability,
        min_list_probability=config.min_list_probability,
    )
    return match.match_pairs(pool, known, engine=engine, routing=routing)


def filter_languages(
    matched: DataFrame, languages: str | Iterable[str], *, min_language_probability: float = 0.0
) -> DataFrame:
    """Keeps the pairs whose text is in one of the languages.

    Args:
        matched: Pairs that `match_pairs` gave with `identify_language=True`.
        languages: fastText codes, such as ["en", "de"]; without any, every pair is kept.
        min_language_probability: Smallest probability of the text's language, from 0 to 1.

    Returns:
        The same columns.

    Raises:
        SchemaMismatchError: If `matched` is not a DataFrame of Spark, lacks a column, or has it with another type.
        ConfigError: If a language is not a code, or the probability is out of range.

    Example:
        >>> from metaclip_spark import filter_languages, open_run
        >>> filter_languages(open_run("demo-output").matched, ["en"]).count()
        3714
    """
    check_table("matched", matched)
    given = {"languages": languages, "min_language_probability": min_language_probability}
    with arguments_named(LanguageConfig):
        (config,) = configurations("filter_languages", given, LanguageConfig)
    return language_filter.filter_languages(
        matched, config.languages, min_language_probability=config.min_language_probability
    )


def count_entries(matched: DataFrame, metadata: Metadata | str | PathLike[str] | Sequence[str]) -> EntryCounts:
    """Counts in how many pairs each entry occurs; runs a Spark job.

    Args:
        matched: Pairs that `match_pairs` gave with the same metadata list.
        metadata: The metadata list, its file, or its entries.

    Returns:
        The counts, zeros too.

    Raises:
        SchemaMismatchError: If `matched` is not a DataFrame of Spark, lacks a column, or has it with another type.
        MetadataError: If `metadata` is not a metadata list, or the list cannot be used.

    Example:
        >>> from metaclip_spark import Metadata, count_entries, match_pairs, open_run
        >>> metadata = Metadata.from_entries(["dog", "New York"])
        >>> matched = match_pairs(open_run("demo-output").pool, metadata)
        >>> count_entries(matched, metadata).counts.tolist()
        [216, 58]
    """
    check_table("matched", matched)
    entries = as_metadata(metadata).entries
    pairs = require_columns(matched, MATCHED)
    return EntryCounts(entries, count.count_entries(pairs, len(entries)))


def sample_pairs(matched: DataFrame, probabilities: npt.NDArray[np.float64], *, seed: int = 0) -> DataFrame:
    """Balances the matched pairs: keeps each with its keep probability ("Demystifying CLIP Data", Algorithm 1).

    A pair is kept where one of its entries draws it, so its keep probability is 1 - prod(1 - p) over its entries. The
    draw depends on nothing but the seed and the pair's id: the same rows are kept under any partitioning or retry.

    Args:
        matched: Pairs that `match_pairs` gave.
        probabilities: float64, shape (entries,): each entry's probability, such as `EntryCounts.probabilities(t)`.
        seed: Seed of the draws, from 0 to 2^64 - 1.

    Returns:
        The columns of `matched`, and `keep_probability`.

    Raises:
        SchemaMismatchError: If `matched` is not a DataFrame of Spark, lacks a column, or has it with another type.
        ConfigError: If the seed is out of range, or the probabilities are not numbers from 0 to 1.

    Example:
        >>> from metaclip_spark import open_run, sample_pairs
        >>> run = open_run("demo-output")
        >>> probabilities = run.entry_counts.probabilities(20)
        >>> sample_pairs(run.matched, probabilities, seed=0).count() == run.curated.count()
        True
    """
    check_table("matched", matched)
    try:
        values = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ConfigError(
            "probabilities must be one number from 0 to 1 for each entry, such as EntryCounts.probabilities(t)"
        )
    with arguments_named(SampleConfig):
        (config,) = configurations("sample_pairs", {"seed": seed, "threshold_t": 1}, SampleConfig)
    return sample.sample_pairs(matched, values, seed=config.seed)


def expected_sizes(matched: DataFrame, entry_counts: EntryCounts, thresholds: Iterable[int]) -> dict[int, ExpectedSize]:
    """Computes how many pairs each threshold would keep, without sampling; runs one Spark job.

    Args:
        matched: Pairs that `match_pairs` gave.
        entry_counts: The counts to balance with.
        thresholds: Thresholds t: integers of at least 1.

    Returns:
        Threshold to `ExpectedSize` (its `size` and `standard_error` are in pairs), in ascending order.

    Raises:
        SchemaMismatchError: If `matched` is not a DataFrame of Spark, lacks a column, or has it with another type.
        MetadataError: If `entry_counts` are not `EntryCounts`.
        ConfigError: If a threshold is not an integer of at least 1.

    Example:
        >>> from metaclip_spark import expected_sizes, open_run
        >>> run = open_run("demo-output")
        >>> sizes = expected_sizes(run.matched, run.entry_counts, [1, 20])
        >>> round(sizes[20].size)
        3260
    """
    check_table("matched", matched)
    if not isinstance(entry_counts, EntryCounts):
        raise MetadataError(wrong_type("entry_counts", entry_counts, "an EntryCounts, such as count_entries gives"))
    wanted = [check_threshold(threshold, "thresholds") for threshold in several(thresholds)]
    if math.inf in wanted:
        raise ConfigError("thresholds holds inf, which keeps every matched pair: pass integers of at least 1")
    pairs = require_columns(matched, MATCHED)
    return threshold_steps.expected_sizes(pairs, entry_counts.counts, [int(threshold) for threshold in wanted])
