"""What each step depends on."""

from itertools import takewhile
from typing import Self

import msgspec
from msgspec import UNSET, UnsetType

from metaclip_spark.config.curation import ExtractConfig, LanguageConfig
from metaclip_spark.runs.records.steps import Number, Record


class NoSettings(Record):
    """A step whose result depends on its input alone."""


class ExtractionSettings(Record):
    """What extraction depends on: of archives the size of a page and the agents asked for, of a pool its columns."""

    input: str
    url_column: str | UnsetType = UNSET
    text_column: str | UnsetType = UNSET
    language_column: str | UnsetType = UNSET
    max_page_bytes: int | UnsetType = UNSET
    preference_agent: list[str] | UnsetType = UNSET

    @classmethod
    def of(cls, config: ExtractConfig) -> Self:
        """Gives what an extraction's result depends on, besides the archives."""
        if config.pool:
            language_column = config.language_column or UNSET
            return cls(
                input="pool",
                url_column=config.url_column,
                text_column=config.text_column,
                language_column=language_column,
            )
        agents = [*config.preference_agent] or UNSET
        return cls(input="archives", max_page_bytes=config.max_page_bytes, preference_agent=agents)


class MatchSettings(Record):
    """What matching depends on.

    Attributes:
        metadata_digest: Digest of the metadata list, or of the lists with their labels and word borders.
        entries: The number of their entries.
        language_identified: Whether the languages of the texts are known.
        word_borders: Where entries begin and end, where it is not at spaces.
        lists: With one list per language, their number.
        labels: There, the label of each language to the code of its list.
        language_from: What says the language of a text there.
        page_language_probability: There, for the languages of pages, the least probability that counts.
        min_list_probability: There, the least probability of a language whose list is used.
        language_model: There, the digest of the model where it is not the bundled one.
    """

    metadata_digest: str
    entries: int
    language_identified: bool
    word_borders: str | UnsetType = UNSET
    lists: int | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    language_from: str | UnsetType = UNSET
    page_language_probability: Number | UnsetType = UNSET
    min_list_probability: Number | UnsetType = UNSET
    language_model: str | UnsetType = UNSET


class Gate(Record):
    """The language filter: pairs that do not pass are neither counted nor sampled."""

    languages: list[str]
    min_language_probability: Number

    @classmethod
    def of(cls, language: LanguageConfig) -> Self:
        """Takes the filter out of what the user configured."""
        return msgspec.convert(language.gate, cls)


class RemovalNumbers(Record):
    """The removals of a run added up.

    Attributes:
        removals: How many were registered.
        values: How many values they list.
        curated: How many curated pairs they named.
    """

    removals: int
    values: int
    curated: int


class FirstDraw(Record):
    """The draw of the run whose pairs are balanced anew.

    Attributes:
        digest: Digest of the manifest of its curated pairs, or of its matched ones.
        attempted: Which of them were attempted: curated or matched.
        threshold_t: Its threshold.
        seed: The seed of its draws.
        matched: The pairs that it began with: its matched ones, or those that the draw before it had kept.
        gated_out: Those that its language filter removed.
        not_drawn: Those that its draw thinned out.
        pairs: Its curated pairs.
        removed: Digest of what its removals list.
        dropped: Those that were removed from its curated pairs since.
        reasons: Those that its rules excluded, by reason.
        preferences: What pages could ask for so that it left their pairs out.
        removals: What was removed from its run.
        given_counts: Whether it balanced with counts that were given, in place of its own.
        before: The draw before it, where its run had begun with the pairs of another one.
    """

    digest: str
    attempted: str
    threshold_t: int | str
    seed: int
    matched: int
    gated_out: int
    not_drawn: int
    pairs: int
    removed: str | UnsetType = UNSET
    dropped: int | UnsetType = UNSET
    reasons: dict[str, int] | UnsetType = UNSET
    preferences: list[str] | UnsetType = UNSET
    removals: RemovalNumbers | UnsetType = UNSET
    given_counts: bool | UnsetType = UNSET
    before: "FirstDraw | UnsetType" = UNSET


class ExcludeSettings(Record):
    """The rules that exclude matched pairs; of a rule that is not given, nothing is told.

    Attributes:
        lists: Digest of what is listed.
        removed: Digest of what removals list.
        page_rule: Whether lists of pages are compared with any page of a pair, or with the surviving one.
        downloaded: Digest of what is told of the images.
        deduplicate_images: Whether pairs with one image are duplicates, with equal texts or with any.
        scores: Digest of the scores.
        keep_where: The conditions on them.
        unscored: Whether pairs without scores stay.
        preferences: What pages may ask for so that their pairs leave.
        first_draw: The draw of the run that this one began with, where it began with one.
        unknown_preferences: Whether pairs stay whose pages' preferences were not read.
    """

    lists: str | UnsetType = UNSET
    removed: str | UnsetType = UNSET
    page_rule: str | UnsetType = UNSET
    downloaded: str | UnsetType = UNSET
    deduplicate_images: str | UnsetType = UNSET
    scores: str | UnsetType = UNSET
    keep_where: list[str] | UnsetType = UNSET
    unscored: str | UnsetType = UNSET
    preferences: list[str] | UnsetType = UNSET
    unknown_preferences: str | UnsetType = UNSET
    first_draw: FirstDraw | UnsetType = UNSET

    @property
    def is_estimated(self) -> bool:
        """Whether what is left was thinned by a first draw, so that entries can only be estimated."""
        return isinstance(self.first_draw, FirstDraw) and self.first_draw.attempted == "curated"

    @property
    def runs_before(self) -> list[FirstDraw]:
        """What is told of the runs that this one began with, the last one first."""
        runs: list[FirstDraw] = []
        draw = self.first_draw
        while isinstance(draw, FirstDraw):
            runs.append(draw)
            draw = draw.before
        return runs

    @property
    def draws_before(self) -> list[FirstDraw]:
        """The draws that have thinned the pairs before these rules, the first one first."""
        return [*takewhile(lambda draw: draw.attempted == "curated", self.runs_before)][::-1]

    @property
    def has_rules(self) -> bool:
        """Whether the tables of eligible and excluded pairs are written."""
        return bool(msgspec.to_builtins(self))


class CountSettings(Record):
    """What counting depends on; `anchor` is the language that a folder of metadata lists names as its anchor."""

    gate: Gate
    metadata_digest: str
    anchor: str | UnsetType = UNSET


class Draw(Record):
    """How the threshold was chosen, and the seed of the draws."""

    threshold_t: Number | str | None
    tail_share: Number | None
    target_pairs: int | None
    seed: int


class SampleSettings(Record):
    """What sampling depends on; `matched` is the digest of the manifest of the pairs that are drawn from.

    `one_row_per_image` is true where curated_images/ was asked for, and `refill_plan` where refill/ was; else they are
    not in the file. Of several metadata lists `anchor` is the language whose t is given or found, `thresholds` the
    digest of the t that were given for single languages, and `min_language_pairs` the floor.
    """

    sample: Draw
    gate: Gate
    entry_counts_digest: str
    matched: str
    one_row_per_image: bool | UnsetType = UNSET
    refill_plan: bool | UnsetType = UNSET
    anchor: str | UnsetType = UNSET
    thresholds: str | UnsetType = UNSET
    min_language_pairs: int | UnsetType = UNSET
