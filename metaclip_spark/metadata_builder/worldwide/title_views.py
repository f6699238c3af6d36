"""Sums the page views of all Wikipedias in one pass over the dumps."""

import json
from dataclasses import dataclass, field

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from metaclip_spark.config.fields import as_dict
from metaclip_spark.config.metadata import TitleViewsConfig, TitleViewsOutput
from metaclip_spark.errors import InputError, OutputExistsError, counted
from metaclip_spark.metadata_builder.build import taking
from metaclip_spark.metadata_builder.wiki_dumps import file_name, find_files, page_view_format, refuse_unreadable
from metaclip_spark.metadata_builder.word_counts import count_title_views, refuse_large_sums
from metaclip_spark.stores.spark_io import check_committed, prepare_compression, prepare_tables, table_writer
from metaclip_spark.stores.storage import Storage
from udfs.sources import environment_options
from udfs.wikipedia.page_views import ViewRules

OPTION = "--pageviews"
TITLES_FOLDER = "titles"
DESCRIPTION_FILE = "title_views.run.json"


@dataclass
class TitleViews:
    """What was summed.

    Attributes:
        wikis: Code of each wiki -> number of its titles and of their views.
        tally: By file, what its lines were: lines = counted + the reasons.
        warnings: What the user should look at.
    """

    wikis: dict[str, tuple[int, int]] = field(default_factory=dict)
    tally: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def sum_title_views(spark: SparkSession, config: TitleViewsConfig, output: TitleViewsOutput) -> TitleViews:
    """Sums views by wiki and title, and writes them partitioned by wiki. Triggers Spark jobs.

    Raises:
        OutputExistsError: If the output holds sums and may not be overwritten, or another build writes to it.
        InputError: If a dump is missing or packed in a form that is not read, or none holds a view of a Wikipedia.
    """
    options = environment_options(config.s3_access)
    files = find_files(OPTION, config.pageviews, options)
    refuse_unreadable(OPTION, files, options)
    rows = [(name, path, page_view_format(file_name(name))) for name, path in files]
    storage = Storage(output.output)
    with taking(storage, "metaclip-spark count-title-views") as owner:
        if DESCRIPTION_FILE in storage.names("") and not output.overwrite:
            raise OutputExistsError(f"{storage.root} holds sums of page views: give another --output, or --overwrite")
        prepare_compression(spark)
        prepare_tables(spark, storage, allow_rename_committer=output.allow_rename_committer)
        rules = ViewRules(None, config.include_mobile, config.min_hourly_views)
        counts = count_title_views(spark, rows, rules, options).persist(StorageLevel.DISK_ONLY)
        try:
            refuse_large_sums(counts, OPTION)
            found = _described(counts, [name for name, _ in files])
            if not found.wikis:
                raise InputError(f"{OPTION}: {counted(len(files), 'dump')} without a view of a Wikipedia: fetch others")
            for name in (DESCRIPTION_FILE, TITLES_FOLDER):
                owner.check()
                storage.delete(name)
            owner.check()
            _write(counts, storage)
        finally:
            counts.unpersist()
        owner.check()
        description = {"config": as_dict(config), "wikis": found.wikis, "tally": found.tally}
        storage.put_text(DESCRIPTION_FILE, json.dumps(description, ensure_ascii=False, indent=2) + "\n")
    return found


def _described(counts: DataFrame, names: list[str]) -> TitleViews:
    found = TitleViews()
    for row in counts.where("kind = 'tally'").orderBy("next_word", "word").collect():
        found.tally.setdefault(row["next_word"], {})[row["word"]] = row["count"]
        if row["word"].startswith(("dump.", "line.unfinished", "line.too_large")):
            found.warnings.append(f"{row['next_word']}: {row['count']} {row['word']}")
    found.warnings += [f"{name} gives no lines: fetch it again" for name in names if not found.tally.get(name)]
    sums = counts.where("kind = 'title'").groupBy(F.col("next_word").alias("wiki"))
    wikis = sums.agg(F.count("*").alias("titles"), F.sum(F.col("count").cast("decimal(38,0)")).alias("views"))
    for row in wikis.orderBy("wiki").collect():
        found.wikis[row["wiki"]] = (row["titles"], int(row["views"]))
    return found


def _write(counts: DataFrame, storage: Storage) -> None:
    titles = counts.where("kind = 'title'").select(
        F.col("next_word").alias("wiki"), F.col("word").alias("title"), F.col("count").alias("views")
    )
    # Each wiki in one file, whose bytes do not depend on how the dumps were split.
    ordered = titles.repartition("wiki").sortWithinPartitions("wiki", F.col("views").desc(), "title")
    location = storage.location(TITLES_FOLDER)
    table_writer(ordered, storage).mode("overwrite").partitionBy("wiki").parquet(location)
    check_committed(storage, TITLES_FOLDER)
