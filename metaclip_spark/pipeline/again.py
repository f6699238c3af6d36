"""The steps after matching done again, with the options that they were done with."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from metaclip_spark.commits.entries import Purge, Removal
from metaclip_spark.config.curation import LanguageConfig, MatchConfig, SampleConfig
from metaclip_spark.config.exclusion import ExcludeConfig, RebalanceConfig
from metaclip_spark.config.fields import from_saved
from metaclip_spark.entries import Metadata, load_to_match
from metaclip_spark.errors import ConfigError, CurationError, InputError
from metaclip_spark.pipeline.balancing import run_count, run_sample
from metaclip_spark.pipeline.exclusion import Judging, run_exclude, with_removals
from metaclip_spark.pipeline.first_run import FirstRun, metadata_of, open_first_run
from metaclip_spark.pipeline.rules import Rules, read_rules
from metaclip_spark.runs.layout import REFILL
from metaclip_spark.runs.records import ExcludeSettings
from metaclip_spark.runs.run import Run
from metaclip_spark.runs.step import COUNT, EXCLUDE, STEPS
from metaclip_spark.stores.storage import JsonObject

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Again:
    """How a run was made, to make it again.

    Attributes:
        run: The run.
        options: All options of each step that was done, by the step's name.
        before: What its exclusion depended on; None where it had none.
    """

    run: Run
    options: dict[str, JsonObject]
    before: JsonObject | None = None

    @cached_property
    def exclude(self) -> ExcludeConfig:
        """The rules."""
        return from_saved(ExcludeConfig, self.options.get("exclude", {}))

    @cached_property
    def language(self) -> LanguageConfig:
        """The language filter; a preset is what it stands for."""
        return from_saved(LanguageConfig, self.options.get("count", {}), without=["preset"])

    @cached_property
    def sample(self) -> SampleConfig:
        """How the curated set was drawn."""
        return from_saved(SampleConfig, self.options["sample"])

    @cached_property
    def match(self) -> MatchConfig:
        """What the pool was matched against."""
        return from_saved(MatchConfig, self.options["match"])

    @cached_property
    def language_of_match(self) -> LanguageConfig:
        """Whether the languages were identified."""
        return from_saved(LanguageConfig, self.options["match"])

    @cached_property
    def first(self) -> FirstRun | None:
        """The run that this one begins with, where it begins with one.

        Raises:
            InputError: If it is gone.
        """
        saved = self.options.get("exclude", {})
        return open_first_run(self.run, from_saved(RebalanceConfig, saved)) if "from_run" in saved else None

    @cached_property
    def rules(self) -> Rules:
        """The rules, read again.

        Raises:
            InputError: If a file of theirs cannot be read.
        """
        try:
            return read_rules(self.exclude)
        except CurationError as error:
            raise InputError(
                f"the rules that {self.run.storage.root} was made with cannot be read again ({error}): restore "
                "them, or remove with --mode drop and run the rest with --resume and the rules that are wanted"
            ) from None

    def judging(self, *, with_rules: bool, with_first: bool) -> Judging:
        """Gives the pairs before any rule, where wanted those of the first run, and what rules tell of their images."""
        rules = self.rules if with_rules else Rules(ExcludeConfig(), {})
        return Judging(self.run, self.first if with_first else None, rules)

    def metadata(self, path: str | None = None) -> Metadata:
        """Gives the metadata list: as the counts tell it, else from the file that it was read from, or from `path`.

        Raises:
            MetadataError: If the file is gone or holds another list.
        """
        if path is None and self.run.manifest_if_done(COUNT) is not None:
            return metadata_of(self.run)
        return load_to_match(replace(self.match, metadata=path or self.match.metadata))

    def check_same_rules(self) -> None:
        """Refuses to go on with rules that say something else than they did.

        Raises:
            ConfigError: If they do, or the run that this one begins with has another curated set.
            InputError: If a step is not done, so that nothing tells how it was.
        """
        missing = [step for step in ("extract", "match", "count", "sample") if step not in self.options]
        if missing:
            raise InputError(
                f"{self.run.storage.root} is in the middle of other work: finish it with curate --resume, then do this "
                "again"
            )
        before = msgspec.convert(self.before or {}, ExcludeSettings)
        judging = Judging(self.run, self.first, with_removals(self.rules, self.run, self.first))
        now = judging.settings
        judging.release()
        if now.first_draw != before.first_draw:
            raise ConfigError(
                f"the run that {self.run.storage.root} began with has another curated set since: run rebalance with "
                "--resume, or remove with --mode drop"
            )
        if msgspec.structs.replace(now, removed=before.removed) != before:
            raise ConfigError(
                f"the rules that {self.run.storage.root} was made with have changed since: run curate, exclude or "
                "rebalance with --resume and the rules that are wanted, then this again"
            )

    def balance(self, metadata: Metadata) -> None:
        """Excludes, counts and samples again, as far as what is done is not what would come of it."""
        if self.run.state.written(REFILL):
            log.warning("refill/ is not planned anew: for that run rebalance with --refill-plan and --resume")
        run_exclude(self.run, self.rules, self.first)
        run_count(self.run, self.language, metadata, self.first.counts if self.first else None)
        run_sample(self.run, self.sample, self.language)


def again(run: Run) -> Again:
    """Gives how a run was made; of steps that no longer count, as a removal or a purge has noted it."""
    state = run.state
    noted: list[Removal | Purge] = [state.removals[number] for number in sorted(state.pending)]
    noted += [state.purge] if state.purge else []
    options = {step: saved for each in noted for step, saved in each.settings.items()}
    before = next((each.rules for each in reversed(noted)), None)
    if EXCLUDE.name in state.begins:
        before = state.begins[EXCLUDE.name][1].config
    for step in STEPS.values():
        made = run.manifest_if_done(step, step.parts(run.buckets)[0])
        if made is not None:
            options[step.name] = made.settings
    return Again(run, options, before)
