"""The commands that take pairs out of a run for ever."""

from metaclip_spark.commands.curation import show_finished
from metaclip_spark.commands.show import next_command, show
from metaclip_spark.config.curation import OutputConfig
from metaclip_spark.config.exclusion import PurgeConfig, RemovalConfig
from metaclip_spark.config.job import EXIT_DONE, job
from metaclip_spark.errors import counted


@job(OutputConfig, RemovalConfig)
def remove_pairs(output: OutputConfig, removal: RemovalConfig) -> int:
    """Remove what is listed from a run for ever, and balance what is left."""
    from metaclip_spark.commits.entries import entry_name
    from metaclip_spark.library.whole_run import name_removed, remove_from_run
    from metaclip_spark.pipeline.remove import removal_lines

    if removal.dry_run:
        found = name_removed(output, removal)
        show([*removal_lines("would be removed", found), "nothing was written"])
        return EXIT_DONE
    run, found, number, report = remove_from_run(output, removal)
    lines = removal_lines(f"removal {number}", found)
    if report is None:
        show([*lines, "the run has no curated set yet: what was removed will be excluded when it goes on"])
        return EXIT_DONE
    done = run.state.concluded[number]
    entered = "the set before is gone" if done.entered is None else f"{done.entered:,} of them entered instead"
    show(
        [
            *lines,
            f"  curated pairs now: {done.pairs:,} ({entered})",
            f"Record: {run.storage.root}/{entry_name(number)}",
            f"Raw pairs still hold it: {next_command('purge', '--output', output.output)}",
            "",
        ]
    )
    show_finished(run, report)
    return EXIT_DONE


@job(OutputConfig, PurgeConfig)
def purge_removed(output: OutputConfig, purge: PurgeConfig) -> int:
    """Take what was removed out of every table of a run, the raw pairs among them."""
    from metaclip_spark.library.whole_run import purge_run

    run, plan, report = purge_run(output, purge)
    what = f"{counted(plan.pairs, 'raw pair')} in {counted(len(plan.folders), 'wave')}"
    if report is None:
        show(
            [
                f"a purge takes {what} out of {run.storage.root}, and writes {plan.bytes_written:,} bytes anew",
                f"nothing was written; to begin: {next_command('purge', '--yes', '--output', output.output)}",
            ]
        )
        return EXIT_DONE
    show([f"purged: {what}", "Copies outside the run (--export-curated, shards, downloads) are not reached.", ""])
    show_finished(run, report)
    return EXIT_DONE
