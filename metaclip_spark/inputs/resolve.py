"""From the options that name an input to the archives or files of pairs that extraction reads."""

from collections.abc import Mapping

from metaclip_spark.config.curation import ExtractConfig
from metaclip_spark.inputs.archive_path import ArchivePath
from metaclip_spark.inputs.files import check_pool_files, resolve_archives, resolve_pool
from metaclip_spark.inputs.remote import fetch_options, resolve_crawl


def resolve_inputs(config: ExtractConfig, stored: Mapping[str, list[ArchivePath]] | None = None) -> list[ArchivePath]:
    """Finds and checks the input before Spark starts work.

    Args:
        config: Names it.
        stored: What an item of --pool means whose files are known.

    Raises:
        InputError: If an input is missing.
        SchemaMismatchError: If a file of --pool lacks a column.
    """
    options = fetch_options(config)
    if config.crawl:
        return resolve_crawl(config, options)
    if config.archives:
        return resolve_archives(config.archives, config.archives_prefix, options)
    paths = resolve_pool(config.pool, options, stored)
    check_pool_files(paths, url_column=config.url_column, text_column=config.text_column, options=options)
    return paths
