"""The rules of an exclusion, read and checked before Spark starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from metaclip_spark.config.exclusion import ExcludeConfig
from metaclip_spark.config.fields import option_of
from metaclip_spark.inputs.block_lists import digest_of, read_block_list, tables_of
from metaclip_spark.inputs.files import resolve_files
from metaclip_spark.runs.records import ExcludeSettings
from udfs.exclusion.digest_table import DigestTable
from udfs.exclusion.kinds import PAGE_KINDS
from udfs.sources import environment_options

_OPTIONS = {"image_domain": "block_domains"}


@dataclass(frozen=True)
class Rules:
    """What excludes matched pairs.

    Attributes:
        config: What the user configured.
        tables: What is listed, by the kind of list.
    """

    config: ExcludeConfig
    tables: Mapping[str, DigestTable]

    @cached_property
    def settings(self) -> ExcludeSettings:
        """What the result depends on: the content of lists, not where it stands."""
        settings = ExcludeSettings()
        if self.tables:
            settings.lists = digest_of(self.tables)
        if self.has_page_lists:
            settings.page_rule = self.config.page_rule
        if self.config.respect_preferences:
            settings.preferences = list(self.config.respect_preferences)
        if self.config.unknown_preferences:
            settings.unknown_preferences = self.config.unknown_preferences
        return settings

    @property
    def has_page_lists(self) -> bool:
        """Whether pages or their domains are listed."""
        return any(kind in self.tables for kind in PAGE_KINDS)

    @property
    def compares_all_pages(self) -> bool:
        """Whether lists of pages are compared with every page that a pair was found on."""
        return self.has_page_lists and self.config.page_rule == "any"


def read_rules(config: ExcludeConfig) -> Rules:
    """Reads the lists that a user names.

    Raises:
        InputError: If one is missing, damaged, or holds what it cannot hold.
    """
    options = environment_options()
    lists = [
        read_block_list(
            option_of(_option(kind)), kind, named, options=options, allow_public_suffix=config.allow_public_suffix
        )
        for kind, named in config.block_lists.items()
    ]
    return Rules(config, tables_of(lists))


def rule_files(config: ExcludeConfig) -> list[str]:
    """Lists the paths of all that rules are read from."""
    options = environment_options()
    return [path for named in config.block_lists.values() for _, path in resolve_files(list(named), options)]


def _option(kind: str) -> str:
    return _OPTIONS.get(kind, f"block_{kind}{'es' if kind == 'prefix' else 's'}")
