"""The commands that read a run and write nothing into it."""

from typing import TYPE_CHECKING

from metaclip_spark.commands.show import entry_option, next_command, show
from metaclip_spark.config.inspection import ExplainConfig, PathConfig, PlanConfig
from metaclip_spark.config.job import STARTS_ANEW, job
from metaclip_spark.errors import said_of

if TYPE_CHECKING:
    from metaclip_spark.reports.explain.records import Explanation


@job(PlanConfig, when_stopped=STARTS_ANEW)
def plan_threshold(config: PlanConfig) -> None:
    """Show which size, tail share and head each threshold t would give, without sampling."""
    from metaclip_spark.reports.charts import check_chart_path
    from metaclip_spark.reports.plan import plan_lines, plan_thresholds, save_curve
    from metaclip_spark.runs.open import open_run

    if config.curve:
        check_chart_path(config.curve)
    with said_of("--run"):
        run = open_run(config.run, name="plan", s3_packages=config.s3_packages, finished=False)
    run.spark.sparkContext.setJobDescription("plan")
    plan = plan_thresholds(run, config)
    more = [] if config.anchor_language is None else ["--anchor-language", config.anchor_language]
    more += ["--overwrite"] if run.state.sample else []
    chosen = "T" if plan.chosen is None else str(plan.chosen)
    following = next_command("sample", "--output", config.run, "--threshold-t", chosen, *more)
    show([*plan_lines(plan), "", f"Next: {following}"])
    if config.curve:
        save_curve(plan, config.curve)


@job(ExplainConfig, when_stopped=STARTS_ANEW)
def explain_pair(config: ExplainConfig) -> None:
    """Say why a pair is in the curated set of a run, or at which step it left."""
    from metaclip_spark.reports.explain.answer import explain
    from metaclip_spark.reports.explain.lines import explain_lines
    from metaclip_spark.runs.open import open_run
    from metaclip_spark.runs.step import SAMPLE

    with said_of("--run"):
        run = open_run(config.run, name="explain", s3_packages=config.s3_packages)
    threshold = run.manifest(SAMPLE).numbers.threshold_t
    explained = explain(run, config)
    lines = explain_lines(explained, threshold)
    show([*lines, *([""] if lines[-1] else []), f"Next: {_after_explain(config, explained)}"])


def _after_explain(config: ExplainConfig, explained: "Explanation") -> str:
    """Gives the command that goes on: an entry's dropped pairs, the pairs of an entry of a text, or the thresholds."""
    from metaclip_spark.reports.explain.entry import named_entry

    entry = explained.entry
    if entry is not None:
        named = named_entry(entry.entry_text, entry.metadata_language)
        found, more = [named] if entry.dropped and not config.dropped else [], ["--dropped"]
    else:
        texts = [pair.text for pair in explained.pairs] or [text for text in [explained.text] if text]
        codes = [text.choice.metadata_language if text.choice else None for text in texts]
        both = zip(texts, codes, strict=True)
        found, more = [named_entry(each.entry_text, code) for text, code in both for each in text.entries], []
    # What acts on a terminal is not shown there.
    shown = next((text for text in found if text.isprintable()), None)
    if shown is None:
        return next_command("plan", "--run", config.run)
    return next_command("explain", "--run", config.run, *entry_option(shown), *more)


@job(PathConfig, when_stopped=STARTS_ANEW)
def table_path(config: PathConfig) -> None:
    """Show the path of a finished run's table, for programs and shells: one line, or one for each bucket."""
    from metaclip_spark.config.curation import OutputConfig
    from metaclip_spark.runs.open import session_for
    from metaclip_spark.runs.paths import paths_of_table
    from metaclip_spark.stores.storage import Storage

    storage = Storage(config.run)
    session_for(storage, "metaclip-spark path", OutputConfig(output=config.run, s3_packages=config.s3_packages))
    show(paths_of_table(storage, config.table))
