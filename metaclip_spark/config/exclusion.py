"""Which matched pairs a run excludes before it counts and samples."""

from dataclasses import dataclass, field
from typing import Literal

from metaclip_spark.config.curation import SampleConfig
from metaclip_spark.config.fields import OPERATIONAL, PATH, PRIVATE, Seed, check_types, option_of
from metaclip_spark.errors import ConfigError, brief, meant_by
from udfs.preferences import PREFERENCES

_NAMES = {"values": f"some of {', '.join(PREFERENCES)}"}


BLOCK_LISTS = {
    "pair": "block_pairs",
    "url": "block_urls",
    "prefix": "block_prefixes",
    "image_domain": "block_domains",
    "page_domain": "block_page_domains",
    "page": "block_pages",
    "text": "block_texts",
    "image": "block_images",
}
"""Kind of `udfs.exclusion.kinds.KINDS` -> the field that names its lists."""


@dataclass(frozen=True)
class ExcludeConfig:
    """Which matched pairs are neither counted nor sampled; without any of these options, none.

    A list is files, folders, globs or URLs of text (one value a line, `#` begins a comment), JSONL or Parquet (column
    value or value_sha256). A value may be given as sha256: and the 64 hex digits of its key; that of an image as the
    hash of its file.

    Attributes:
        block_urls: Lists of images' URLs.
        block_prefixes: Lists of beginnings of images' URLs, up to a slash.
        block_domains: Lists of domains of images, with all below them; also in the form of hosts files.
        block_page_domains: Lists of domains of pages, with all below them.
        block_pages: Lists of pages' URLs.
        block_pairs: Lists of pair_ids.
        block_texts: Lists of alternative texts.
        block_images: Lists of images' hashes (MD5, SHA-256 or SHA-512), of the kind that --downloaded tells.
        page_rule: Whether lists of pages are compared with any page that a pair was found on, or with the surviving
            one, which pool and matched tell of.
        allow_public_suffix: Take domains such as co.uk or github.io, below which anyone can register a name.
        downloaded: What became of the images: the Parquet of img2dataset, or any with pair_id or image_url, status and,
            if wanted, sha256, sha512 or md5. Pairs whose image was not attempted, or failed, are excluded.
        deduplicate_images: Of pairs with equal hash, or equal hash and text, keep the smallest pair_id alone.
        scores: Parquet with scores of pairs, by pair_id, image_url or the image's hash.
        keep_where: Exclude pairs for which an expression in SQL over the scores is not true, under the name before it,
            such as "safe: nsfw < 0.2".
        unscored: What becomes of pairs without scores: drop or keep.
        respect_preferences: Exclude pairs of pages that ask for one of these (such as noai,noimageai).
        unknown_preferences: What becomes of pairs whose pages' preferences were not read (extracted by an earlier
            version, or given by --pool without the column): keep or drop.

    Example:
        >>> from metaclip_spark import ExcludeConfig
        >>> ExcludeConfig(respect_preferences=("noai,noimageai",)).respect_preferences
        ('noai', 'noimageai')
    """

    block_urls: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_prefixes: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_domains: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_page_domains: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_pages: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_pairs: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_texts: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    block_images: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    page_rule: Literal["any", "surviving"] = "any"
    allow_public_suffix: bool = field(default=False, metadata=OPERATIONAL)
    downloaded: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    deduplicate_images: Literal["off", "text", "image"] = "off"
    scores: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    keep_where: tuple[str, ...] = ()
    unscored: Literal["drop", "keep"] = "drop"
    respect_preferences: tuple[str, ...] = field(default=(), metadata=_NAMES)
    unknown_preferences: Literal["keep", "drop"] | None = None

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        object.__setattr__(self, "respect_preferences", _preferences(self.respect_preferences))
        if self.page_rule != "any" and not (self.block_pages or self.block_page_domains):
            raise ConfigError("--page-rule needs --block-pages or --block-page-domains")
        if self.allow_public_suffix and not (self.block_domains or self.block_page_domains):
            raise ConfigError("--allow-public-suffix needs --block-domains or --block-page-domains")
        needs_hashes = "--block-images" if self.block_images else "--deduplicate-images"
        if (self.block_images or self.deduplicate_images != "off") and not self.downloaded:
            raise ConfigError(f"{needs_hashes} needs --downloaded, which tells the hashes of images")
        if bool(self.scores) != bool(self.keep_where):
            raise ConfigError("--scores and --keep-where need each other: give both, or neither")
        if self.unscored != "drop" and not self.scores:
            raise ConfigError("--unscored needs --scores")
        if self.unknown_preferences and not self.respect_preferences:
            raise ConfigError("--unknown-preferences needs --respect-preferences")

    @property
    def block_lists(self) -> dict[str, tuple[str, ...]]:
        """What names lists, by the kind of `udfs.exclusion.kinds.KINDS` that each holds."""
        return _lists_in(self, BLOCK_LISTS)


@dataclass(frozen=True)
class RebalanceConfig:
    """Which run's pairs are balanced anew, after rules or a download have left some of them out.

    Attributes:
        from_run: Folder of a finished run, which is only read.
        attempted: What was to be downloaded of that run: its curated pairs, or all of its matched ones.

    Example:
        >>> from metaclip_spark.config.exclusion import RebalanceConfig
        >>> RebalanceConfig("runs/first").attempted
        'curated'
    """

    from_run: str = field(metadata=OPERATIONAL | PATH)
    attempted: Literal["curated", "matched"] = "curated"

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


@dataclass(frozen=True)
class RedrawConfig(SampleConfig):
    """How what is left of another run is balanced.

    Attributes:
        seed: Seed of the draws, which must be that of the other run; without it that one is taken.
        refill_plan: Write refill, too: the pairs of the other run that are still to be downloaded, so that as many
            survive as --target-pairs says or, with another choice of t, as it would keep had all been downloaded.

    Example:
        >>> from metaclip_spark.config.exclusion import RedrawConfig
        >>> RedrawConfig(target_pairs="10M", refill_plan=True).seed is None
        True
    """

    seed: Seed | None = None  # type: ignore[assignment]  # not given is another thing than 0
    refill_plan: bool = field(default=False, metadata=OPERATIONAL)


REMOVALS = {kind: name.removeprefix("block_") for kind, name in BLOCK_LISTS.items()}
"""Kind of `udfs.exclusion.kinds.KINDS` -> the field that names what is to be removed."""


@dataclass(frozen=True)
class RemovalConfig:
    """What is removed from a run for ever, and what becomes of its curated set.

    Lists are files, folders, globs or URLs, as those of `ExcludeConfig`. Of what they hold only hashes are kept.

    Attributes:
        reason: Why, such as the number of a ticket; it is kept in the run's log alone.
        urls: Lists of images' URLs.
        prefixes: Lists of beginnings of images' URLs, up to a slash.
        domains: Lists of domains of images, with all below them; also in the form of hosts files.
        page_domains: Lists of domains of pages, with all below them.
        pages: Lists of pages' URLs; a pair that was found on one of them is removed wherever else it was found.
        pairs: Lists of pair_ids.
        texts: Lists of alternative texts.
        images: Lists of images' hashes (MD5, SHA-256 or SHA-512), of the kind that the run's --downloaded tells.
        by: Who asks for it.
        mode: rebalance counts and samples what is left; drop takes the pairs out of the curated set at once, and the
            next command that samples balances what is left.
        store_values: Keep what is listed legible beside the hashes.
        allow_public_suffix: Take domains such as co.uk or github.io, below which anyone can register a name.
        dry_run: Write nothing: say which pairs would be removed.

    Example:
        >>> from metaclip_spark.config.exclusion import RemovalConfig
        >>> RemovalConfig("ticket 123", urls=("removed.txt",)).mode
        'rebalance'
    """

    reason: str = field(metadata=PRIVATE)
    urls: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    prefixes: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    domains: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    page_domains: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    pages: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    pairs: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    texts: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    images: tuple[str, ...] = field(default=(), metadata=OPERATIONAL | PATH)
    by: str = field(default="", metadata=PRIVATE)
    mode: Literal["rebalance", "drop"] = "rebalance"
    store_values: bool = False
    allow_public_suffix: bool = field(default=False, metadata=OPERATIONAL)
    dry_run: bool = field(default=False, metadata=OPERATIONAL)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)
        if not self.reason.strip():
            raise ConfigError("--reason is empty: say why, such as the number of a ticket")
        for name in ("reason", "by"):
            if "://" in getattr(self, name):
                raise ConfigError(f"{option_of(name)} holds a URL, which would outlast a purge: give a ticket's number")
        if not self.lists:
            raise ConfigError(f"nothing is listed: give one of {', '.join(map(option_of, REMOVALS.values()))}")
        if self.allow_public_suffix and not (self.domains or self.page_domains):
            raise ConfigError("--allow-public-suffix needs --domains or --page-domains")

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """What names lists, by the kind of `udfs.exclusion.kinds.KINDS` that each holds."""
        return _lists_in(self, REMOVALS)


@dataclass(frozen=True)
class PurgeConfig:
    """Whether what was removed is taken out of every table of a run.

    Attributes:
        yes: Begin; without it the command only says how much it would write anew.
        metadata: The metadata list, where it no longer lies where the run read it.

    Example:
        >>> from metaclip_spark.config.exclusion import PurgeConfig
        >>> PurgeConfig().yes
        False
    """

    yes: bool = field(default=False, metadata=OPERATIONAL)
    metadata: str | None = field(default=None, metadata=OPERATIONAL | PATH)

    def __post_init__(self) -> None:
        """Checks the values."""
        check_types(self)


def _lists_in(config: ExcludeConfig | RemovalConfig, names: dict[str, str]) -> dict[str, tuple[str, ...]]:
    named = {kind: getattr(config, name) for kind, name in names.items()}
    return {kind: paths for kind, paths in named.items() if paths}


def _preferences(given: tuple[str, ...]) -> tuple[str, ...]:
    """Gives what pages may ask for, in the order of `PREFERENCES`.

    Raises:
        ConfigError: If a name is unknown, or none is given where the option is.
    """
    names = {name.strip().lower() for item in given for name in item.split(",")} - {""}
    if given and not names:
        raise ConfigError(f"--respect-preferences names none: give some of {','.join(PREFERENCES)}")
    unknown = sorted(names.difference(PREFERENCES))
    if unknown:
        near = meant_by(unknown[0], PREFERENCES)
        advice = f"did you mean {near}?" if near else f"give some of {','.join(PREFERENCES)}"
        raise ConfigError(f"--respect-preferences {brief(unknown[0])[1:-1]}: there is no such preference; {advice}")
    return tuple(name for name in PREFERENCES if name in names)
