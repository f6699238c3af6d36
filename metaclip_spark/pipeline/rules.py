"""The rules of an exclusion, read and checked before Spark starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from metaclip_spark.config.exclusion import BLOCK_LISTS, ExcludeConfig
from metaclip_spark.config.fields import option_of
from metaclip_spark.errors import ConfigError, joined
from metaclip_spark.inputs.block_lists import BlockList, digest_of, paths_of, read_block_list, tables_of
from metaclip_spark.inputs.downloads import HASH_COLUMNS, Downloads, find_downloads
from metaclip_spark.inputs.scores import KeepRule, Scores, find_scores, parse_keep_rules
from metaclip_spark.runs.records import ExcludeSettings
from udfs.exclusion.digest_table import DigestTable
from udfs.exclusion.kinds import PAGE_KINDS
from udfs.sources import environment_options


@dataclass(frozen=True)
class Rules:
    """What excludes matched pairs.

    Attributes:
        config: What the user configured.
        blocked: What the user's lists hold, by the kind of list.
        downloads: Files that tell what was downloaded.
        scores: Files with scores.
        keep: Conditions on the scores.
        removed: What the run's removals list, by the kind of list.
        removed_before: What those of the run list that it begins with.
    """

    config: ExcludeConfig
    blocked: Mapping[str, DigestTable]
    downloads: Downloads | None = None
    scores: Scores | None = None
    keep: tuple[KeepRule, ...] = ()
    removed: Mapping[str, DigestTable] = field(default_factory=dict)
    removed_before: Mapping[str, DigestTable] = field(default_factory=dict)

    @cached_property
    def tables(self) -> dict[str, DigestTable]:
        """What is listed in all, by the kind of list."""
        sources = (self.blocked, self.removed, self.removed_before)
        return tables_of([BlockList(kind, table) for source in sources for kind, table in source.items()])

    @cached_property
    def settings(self) -> ExcludeSettings:
        """What the result depends on, but for the content of tables: the content of lists, not where it stands."""
        settings = ExcludeSettings()
        if self.blocked:
            settings.lists = digest_of(self.blocked)
        if self.removed:
            settings.removed = digest_of(self.removed)
        if any(kind in self.blocked for kind in PAGE_KINDS):
            settings.page_rule = self.config.page_rule
        if self.config.deduplicate_images != "off":
            settings.deduplicate_images = self.config.deduplicate_images
        if self.keep:
            settings.keep_where = [f"{rule.name}: {rule.expression}" for rule in self.keep]
            settings.unscored = self.config.unscored
        if self.config.respect_preferences:
            settings.preferences = list(self.config.respect_preferences)
        if self.config.unknown_preferences:
            settings.unknown_preferences = self.config.unknown_preferences
        return settings

    @property
    def every_page(self) -> dict[str, DigestTable]:
        """What is compared with every page that a pair was found on: removals, and lists by `--page-rule any`."""
        sources = [self.removed, self.removed_before, *([self.blocked] if self.config.page_rule == "any" else [])]
        found = tables_of([BlockList(kind, table) for source in sources for kind, table in source.items()])
        return {kind: table for kind, table in found.items() if kind in PAGE_KINDS}

    @property
    def before_download(self) -> "Rules":
        """The rules that say what not to download: lists but for those of images' hashes, and preferences."""
        config = replace(
            self.config,
            block_images=(),
            downloaded=(),
            deduplicate_images="off",
            scores=(),
            keep_where=(),
            unscored="drop",
        )
        return Rules(config, {kind: table for kind, table in self.blocked.items() if kind != "image"})

    @property
    def paths(self) -> list[str]:
        """Where all that was read stands."""
        tables = [found.table for found in (self.downloads, self.scores) if found is not None]
        return [*paths_of(self.config.block_lists), *(file.path for table in tables for file in table.files)]


def read_rules(config: ExcludeConfig) -> Rules:
    """Reads the lists that a user names.

    Raises:
        InputError: If one is missing, damaged, or holds what it cannot hold.
    """
    options = environment_options()
    downloads = find_downloads(config.downloaded, options) if config.downloaded else None
    lists = [
        read_block_list(
            option_of(BLOCK_LISTS[kind]),
            kind,
            named,
            options=options,
            allow_public_suffix=config.allow_public_suffix,
            image_hash=downloads.hash_name if downloads else None,
        )
        for kind, named in config.block_lists.items()
    ]
    scores = find_scores(config.scores, options) if config.scores else None
    _check_hashes(config, downloads, scores)
    return Rules(config, tables_of(lists), downloads, scores, parse_keep_rules(config.keep_where))


def _check_hashes(config: ExcludeConfig, downloads: Downloads | None, scores: Scores | None) -> None:
    """Refuses rules on hashes that nothing tells.

    Raises:
        ConfigError: If there is one.
    """
    told = downloads.hash_name if downloads else None
    asking = "--block-images" if config.block_images else "--deduplicate-images"
    if told is None and (config.block_images or config.deduplicate_images != "off"):
        raise ConfigError(
            f"{asking} needs hashes of images, and the files of --downloaded have none of "
            f"{joined(HASH_COLUMNS, 'and')}: run img2dataset with --compute_hash"
        )
    if scores is not None and scores.key in HASH_COLUMNS and scores.key != told:
        has = f"--downloaded tells {told}" if told else "--downloaded tells no hash"
        raise ConfigError(f"--scores go by {scores.key}, but {has}: give scores by pair_id or image_url, or that hash")
