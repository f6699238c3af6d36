"""A driver that falls asleep, and wakes up after another one has finished its run, changes nothing and says so.

The short form of `make test-pauses`.
"""

import json
import shutil
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pyspark
import pytest

from metaclip_spark.commits.entries import Reset, decode
from tests.end_to_end import paused_driver
from tests.end_to_end.pauses import Driver, Second, Settings, driver, finish_in_its_place, impatience, pause_at
from tests.end_to_end.processes import send_to_all
from tests.end_to_end.stored import attempts_in, check_whole
from tests.support.jobs import call, content, manifest_of, rows, state_of, written
from tests.support.list_folders import write_lists, write_texts

pytestmark = pytest.mark.usefixtures("spark")

SUBMIT = Path(pyspark.__file__).parent / "bin" / "spark-submit"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(tmp_path_factory.mktemp("settings"), buckets=1)


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished") / "out"
    assert call("curate", *settings.second, "--output", output) == 0
    return output


@pytest.fixture(scope="module")
def second(settings, finished):
    return Second(settings.second, content(finished))


@pytest.fixture(scope="module")
def paused(tmp_path_factory):
    with driver(tmp_path_factory.mktemp("driver")) as made:
        yield made


@pytest.mark.parametrize(
    ("moment", "options", "seconds_between_beats"),
    [
        ("before create table match", "first", 600),
        # The sign of life of the driver that has woken up finds the other one, and ends Spark's job.
        ("during write curated", "other_draw", 0.2),
        ("before create run.json", "other_draw", 600),
    ],
)
def test_a_driver_that_was_overtaken_changes_nothing(
    paused, second, settings, finished, tmp_path, moment, options, seconds_between_beats
):
    output = shutil.copytree(finished, tmp_path / "out")
    given = (*getattr(settings, options), "--resume")
    pause_at(paused, moment, output, given, second, seconds_between_beats=seconds_between_beats)


def test_of_two_drivers_started_in_the_same_second_one_works(paused, second, finished, tmp_path):
    output = shutil.copytree(finished, tmp_path / "out")
    with driver(tmp_path / "other") as other:
        both = (paused, other)
        for each in both:
            # Without --clean, neither would have anything to do.
            given = (*second.options, "--output", output, "--resume", "--clean")
            each.begin("curate", *given, moment="before create open")
        for each in both:
            each.wait_until_stopped()
        for each in both:
            send_to_all(each.process.pid, signal.SIGCONT)
        works, loses = sorted((each.ended() for each in both), key=lambda ended: ended.code)
    assert works.code == 0, works.words
    loses.check_lost()
    assert f"{output} was taken by another driver a moment ago: wait for it" in loses.words
    second.check(output)


def attempt(folder: Path, number: int, **request: object) -> Driver:
    """Starts an attempt of a Spark application, as YARN does; in local mode Spark takes the id from a setting."""
    known = {"spark.test.appId": "application_1_0001", "spark.app.attempt.id": number, "spark.ui.enabled": "false"}
    configured = [part for name, value in known.items() for part in ("--conf", f"{name}={value}")]
    script = (paused_driver.__file__, json.dumps(request))
    return Driver(folder, ("bash", str(SUBMIT), "--master", "local[2]", *configured, *script))


def test_the_next_attempt_of_an_application_goes_on_at_once(second, finished, tmp_path):
    output = shutil.copytree(finished, tmp_path / "out")
    before = state_of(output)
    options = [str(option) for option in (*second.options, "--output", output, "--overwrite")]
    moment = "before create table deduplicate"
    first = attempt(tmp_path / "first", 1, job="curate", options=options, moment=moment)
    try:
        first.wait_until_stopped()
        next_one = attempt(tmp_path / "second", 2, job="curate", options=options)
        try:
            ended = next_one.last_words()
        finally:
            next_one.kill()
        assert ended.code == 0, ended.words[-3000:]
        assert "waiting up to" not in ended.words
        assert "extract: already done, reused" in ended.words
        second.check(output)
        send_to_all(first.process.pid, signal.SIGCONT)
        first.last_words().check_lost()
    finally:
        first.kill()
    second.check(output)
    entries = [decode(path.read_bytes(), path.name) for path in sorted((output / "commits").iterdir())]
    assert sum(isinstance(entry, Reset) for entry in entries[before.number :]) == 1


@pytest.fixture(scope="module")
def removing(finished, tmp_path_factory):
    """A removal, and the tables of the run that it leaves where nothing disturbs it, before and after a purge."""
    listed = tmp_path_factory.mktemp("listed") / "urls.txt"
    urls = sorted({row["image_url"] for row in rows(finished, "matched")})[::5]
    listed.write_text("".join(f"{url}\n" for url in urls))
    options = ("--urls", listed, "--reason", "ticket 123")
    output = shutil.copytree(finished, tmp_path_factory.mktemp("removed") / "out")
    assert call("remove_pairs", *options, "--output", output) == 0
    removed = shutil.copytree(output, tmp_path_factory.mktemp("purged") / "out")
    assert call("purge_removed", "--yes", "--output", removed) == 0
    return options, output, removed


def go_on(job, paused, output, options, moment):
    """Stops a driver at a moment, goes on in its place with the same command, and wakes it up."""
    paused.begin(job, *options, "--output", output, moment=moment)
    paused.wait_until_stopped()
    with impatience():
        assert call(job, *options, "--output", output, "--resume") == 0
    state = check_whole(output)
    paused.go_on().check_lost()
    assert check_whole(output).number == state.number
    return state


def test_a_removal_that_was_stopped_goes_on_and_is_registered_once(paused, finished, removing, tmp_path):
    options, expected, _ = removing
    output = shutil.copytree(finished, tmp_path / "out")
    state = go_on("remove_pairs", paused, output, options, "after create removal")
    assert content(output) == content(expected)
    assert len(state.removals) == len(state.concluded) == 1
    assert not state.pending


def test_a_purge_that_was_stopped_goes_on(paused, removing, tmp_path):
    _, removed, expected = removing
    output = shutil.copytree(removed, tmp_path / "out")
    state = go_on("purge_removed", paused, output, ("--yes",), "after create wave")
    assert content(output) == content(expected)
    assert len(state.waves) == 2
    assert attempts_in(output) == state.counting_folders()


def test_of_two_removals_at_once_one_is_registered(paused, finished, removing, tmp_path):
    options, expected, _ = removing
    output = shutil.copytree(finished, tmp_path / "out")
    paused.begin("remove_pairs", *options, "--output", output, moment="before create removal")
    paused.wait_until_stopped()
    assert call("remove_pairs", *options, "--output", output) == 2
    ended = paused.go_on()
    assert ended.code == 0, ended.words
    assert content(output) == content(expected)
    assert len(state_of(output).removals) == 1


def test_matching_against_several_lists_that_was_stopped_or_killed_goes_on(paused, tmp_path):
    pool = write_texts(tmp_path / "pool.parquet")
    expected = tmp_path / "expected" / "out"
    assert call("extract_pool", "--pool", pool, "--buckets", 2, "--output", expected) == 0
    stopped, killed = (shutil.copytree(expected, tmp_path / name / "out") for name in ("stopped", "killed"))
    options, moment = (
        ("--metadata", write_lists(tmp_path / "lists"), "--min-list-probability", 0.5),
        "during write matched/bucket=001",
    )
    assert call("match_pool", *options, "--output", expected) == 0
    go_on("match_pool", paused, stopped, options, moment)
    paused.begin("match_pool", *options, "--output", killed, moment=moment)
    paused.wait_until_stopped()
    paused.kill()
    with impatience():
        assert call("match_pool", *options, "--output", killed, "--resume") == 0
    runs = (expected, stopped, killed)
    numbers = [[manifest_of(run, "match", bucket)["numbers"] for bucket in range(2)] for run in runs]
    assert {"de", "en", "ja", "other"} == {code for each in numbers[0] for code in each["texts"]}
    for run, told in zip(runs[1:], numbers[1:], strict=True):
        assert told == numbers[0]
        assert rows(run, "matched") == rows(expected, "matched") != []
        # The bucket that was done before stayed as it was.
        state = check_whole(run)
        assert state.tables["match", 0].owner != state.tables["match", 1].owner


def test_a_driver_that_is_killed_while_it_excludes_pairs_loses_nothing(paused, second, finished, tmp_path):
    (tmp_path / "domains.txt").write_text(f"{urlsplit(rows(finished, 'matched')[0]['image_url']).hostname}\n")
    given = (*second.options, "--block-domains", tmp_path / "domains.txt")
    expected, output = (shutil.copytree(finished, tmp_path / name / "out") for name in ("expected", "killed"))
    assert call("curate", *given, "--output", expected, "--resume") == 0
    paused.begin("curate", *given, "--output", output, "--resume", moment="during write eligible/bucket=000")
    paused.wait_until_stopped()
    paused.kill()
    assert not written(output, "eligible")
    finish_in_its_place(output, given)
    Second(given, content(expected)).check(output)
    for table in ("eligible", "excluded"):
        assert sorted(map(str, rows(output, table))) == sorted(map(str, rows(expected, table))) != []
