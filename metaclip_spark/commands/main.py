"""`metaclip-spark VERB`, or `python -m metaclip_spark VERB`: every job under one name."""

import sys
from collections.abc import Sequence
from functools import partial

from metaclip_spark import __version__
from metaclip_spark.commands.clip_benchmark import benchmark_clip, make_shards
from metaclip_spark.commands.clip_scoring import evaluate_clip, export_clip
from metaclip_spark.commands.curation import (
    check_cluster,
    count_entries,
    curate,
    exclude_pairs,
    extract_pool,
    match_pool,
    rebalance_run,
    report_curation,
    sample_pairs,
)
from metaclip_spark.commands.inspection import explain_pair, plan_threshold, table_path
from metaclip_spark.commands.metadata import (
    build_metadata,
    build_worldwide,
    count_title_views,
    diff_metadata,
    lint_metadata,
)
from metaclip_spark.commands.removal import purge_removed, remove_pairs
from metaclip_spark.commands.show import show
from metaclip_spark.config.job import EXIT_DONE, Job, log_format_in, run_job
from metaclip_spark.config.signals import leave_at_once_from_now_on
from metaclip_spark.errors import ConfigError, meant_by

PROGRAM = "metaclip-spark"
VERBS: dict[str, Job] = {
    "curate": curate,
    "extract": extract_pool,
    "match": match_pool,
    "exclude": exclude_pairs,
    "count": count_entries,
    "sample": sample_pairs,
    "rebalance": rebalance_run,
    "remove": remove_pairs,
    "purge": purge_removed,
    "report": report_curation,
    "plan": plan_threshold,
    "explain": explain_pair,
    "path": table_path,
    "build-metadata": build_metadata,
    "count-title-views": count_title_views,
    "build-worldwide": build_worldwide,
    "lint-metadata": lint_metadata,
    "diff-metadata": diff_metadata,
    "check-cluster": check_cluster,
    "make-shards": make_shards,
    "benchmark": benchmark_clip,
    "evaluate-clip": evaluate_clip,
    "export-clip": export_clip,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb that the arguments begin with, and gives its exit code."""
    if argv is None:
        return leave_at_once_from_now_on(main(sys.argv[1:]))
    verb, *options = list(argv) or ["--help"]
    if verb in {"--help", "-h"}:
        show(_help_lines())
        return EXIT_DONE
    if verb == "--version":
        show([f"{PROGRAM} {__version__}"])
        return EXIT_DONE
    if verb not in VERBS:
        return run_job(partial(_refuse, verb), log_format=log_format_in(options))
    return VERBS[verb](options, program=f"{PROGRAM} {verb}")


def _refuse(verb: str) -> None:
    near = meant_by(verb, VERBS)
    advice = f"did you mean {near}?" if near else f"use one of {', '.join(VERBS)}"
    raise ConfigError(f"{PROGRAM} has no verb {verb!r}: {advice}")


def _help_lines() -> list[str]:
    width = max(map(len, VERBS))
    verbs = [f"  {verb:{width}}  {job.description}" for verb, job in VERBS.items()]
    return [
        f"usage: {PROGRAM} VERB [options]",
        "",
        *verbs,
        "",
        f"{PROGRAM} VERB --help lists a verb's options; {PROGRAM} --version shows the version.",
    ]
