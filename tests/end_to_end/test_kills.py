"""kill -9 of driver, executors and workers in every part of a run: the same command again gives the same tables.

The short form of `make test-kills`, which kills at random moments.
"""

import pytest

from tests.end_to_end.command import BALANCE, LOCAL, LOCAL_CLUSTER, SAMPLE
from tests.end_to_end.kill_runs import check, is_extracted, is_written, run_and_kill
from tests.support.jobs import run_json, state_of

OPTIONS = ("--archives", SAMPLE, *BALANCE, "--archives-per-wave", "3", "--resume")


def test_kills_of_driver_executor_and_worker_lose_and_double_nothing(newest, undisturbed, reference):
    output = newest.folder / "killed"

    def matching() -> bool:
        return is_written(output, "matched")

    starts = {
        "extraction": (
            LOCAL_CLUSTER,
            ("executor", lambda: is_extracted(output, 0)),
            ("driver", lambda: is_extracted(output, 2)),
        ),
        "matching": (LOCAL_CLUSTER, ("worker", lambda: is_extracted(output, 2)), ("driver", matching)),
        "sampling": (LOCAL, ("worker", matching), ("driver", lambda: is_written(output, "curated"))),
    }
    for step, (master, *kills) in starts.items():
        run_and_kill(newest, newest.submit_command(master, "curate", *OPTIONS, "--output", output), kills)
        assert run_json(output) is None, step
        assert not state_of(output).ended, step
    done = newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    check(output, reference)
    numbers = [
        {step: done["numbers"] for step, done in run_json(run)["steps"].items()} for run in (undisturbed, output)
    ]
    assert numbers[0] == numbers[1]


# The stores' contract is tried on HDFS in every run; a whole curation there takes minutes.
@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_a_killed_driver_on_hdfs_loses_and_doubles_nothing(newest, hdfs, reference):
    output = hdfs.new_folder()
    command = newest.submit_command(LOCAL, "curate", *OPTIONS, "--output", output)
    run_and_kill(newest, command, [("driver", lambda: is_written(output, "matched"))])
    done = newest.submit(LOCAL, "curate", *OPTIONS, "--output", output)
    # spark-submit shows what Python writes to its standard error on its own standard output.
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    assert "deduplicate: already done, reused" in done.stdout
    check(output, reference)
