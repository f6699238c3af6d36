"""What the rows show, as lines for a console."""

from collections.abc import Mapping, Sequence
from typing import Any

from metaclip_spark.clip_benchmark.evaluation.figures import NAMES, UNITS
from metaclip_spark.clip_benchmark.evaluation.paired_tests import TIMES_CHANCE
from metaclip_spark.clip_benchmark.evaluation.significance import SettingSummary, comparisons, summaries
from metaclip_spark.clip_benchmark.report.notes import pretext_notes
from metaclip_spark.clip_benchmark.report.wording import correlation, difference, p_value, points, setting_name
from metaclip_spark.errors import counted


def summary_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each setting reached, and what the comparisons showed."""
    settings = summaries(rows)
    lines = [
        f"{setting_name(found.setting)}: top-1 {points(found.mean('top1'))} ({counted(len(found.seeds), 'seed')}), "
        f"lower 95% bound over {found.bound_over} {points(found.lower_bound)}, "
        f"{'above' if found.passes else 'NOT above'} {points(found.bar)} ({TIMES_CHANCE} x chance "
        f"{points(found.chance)})"
        for found in settings
    ]
    for asked in comparisons(rows):
        found = asked.difference
        low, high = difference(asked, found.low), difference(asked, found.high)
        lines.append(
            f"{asked.question} ({asked.where}), {NAMES[asked.metric]}: {asked.first} - {asked.second} "
            f"{difference(asked, found.mean)}{'' if asked.metric in UNITS else ' points'}, {low} to {high}, "
            f"correlation {correlation(found.correlation)}, Holm's p {p_value(asked.holm_p)}: {asked.verdict}"
        )
    return [*lines, *pretext_notes(rows), learning_verdict(settings)]


def learning_verdict(settings: Sequence[SettingSummary]) -> str:
    """Says in a sentence which settings have learnt, since figures of those that have not mean nothing."""
    bar = f"{points(settings[0].bar)} ({TIMES_CHANCE} x chance)"
    failed = [setting_name(found.setting) for found in settings if not found.passes]
    if len(failed) == len(settings):
        who = "The model has not" if len(settings) == 1 else f"None of the {len(settings)} settings has"
        return f"{who} learnt to name the classes: the lower 95% bound of zero-shot top-1 is not above {bar}."
    if failed:
        have = "has" if len(failed) == 1 else "have"
        of_all = f"{len(failed)} of {counted(len(settings), 'setting')}"
        return f"{of_all} {have} not learnt to name the classes (lower 95% bound not above {bar}): {'; '.join(failed)}."
    who = "The model has" if len(settings) == 1 else f"All {len(settings)} settings have"
    return f"{who} learnt: the lower 95% bound of zero-shot top-1 is above {bar}."


def not_learnt(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names the settings whose lower bound is not above the bar."""
    return [setting_name(found.setting) for found in summaries(rows) if not found.passes]
