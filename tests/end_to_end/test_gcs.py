"""Archives, list and tables on gs://: fake-gcs-server, Google's connector in Spark and gcsfs in Python.

They are brought by `make test-gcs`; where one cannot be had the tests are skipped.
"""

import re
import subprocess

import pytest

from metaclip_spark.stores.hadoop_store import HadoopStore
from tests.cluster.hadoop import HOST, free_ports
from tests.end_to_end.command import BALANCE, LOCAL, MOST_SECONDS, SAMPLE
from tests.end_to_end.kill_runs import is_extracted, is_written, run_and_kill
from tests.end_to_end.stored import attempts_in, check_whole
from tests.end_to_end.yarn import DRIVER_JVM, EXECUTOR, WORKER, submitted
from tests.support.jobs import METADATA, content_without_tags, run_json

# The server takes minutes to build, and six sessions start: run by `make test-gcs`.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(gcs):
    pytest.importorskip("gcsfs", reason="gcsfs, which reads gs:// in Python, is not installed: make test-gcs does it")
    made = gcs.new_bucket()
    for path in sorted(SAMPLE.glob("*.gz")):
        gcs.put(made, f"in/{path.name}", path.read_bytes())
    gcs.put(made, METADATA.name, METADATA.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gcs.environment().items():
            patch.setenv(name, value)
        yield made


@pytest.fixture
def command(newest, gcs, bucket):
    """Makes the command line of a curation with everything in the bucket."""

    def make(output, *, jar=True, **more):
        settings = {f"spark.hadoop.{name}": value for name, value in {**gcs.hadoop_settings(), **more}.items()}
        settings |= {"spark.jars": str(gcs.connector)} if jar else {}
        given = [f"{name}={value}" for name, value in settings.items()]
        return newest.submit_command(
            LOCAL, "curate", "--archives", f"{bucket}/in/", "--metadata", f"{bucket}/{METADATA.name}", *BALANCE[2:],
            "--archives-per-wave", 3, "--buckets", 3, "--resume", "--output", output, settings=given,
        )  # fmt: skip

    return make


def run(installation, command):
    return subprocess.run(
        command, cwd=installation.folder, env=installation.environment(), capture_output=True, text=True,
        timeout=MOST_SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def local(undisturbed):
    """The tables of a run on one machine's disk."""
    return content_without_tags(undisturbed)


def test_tables_on_gs_equal_local_ones(newest, gcs, bucket, command, local):
    output = f"{bucket}/undisturbed"
    done = run(newest, command(output))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "tables: com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem, committed by" in done.stdout
    assert content_without_tags(output) == local
    assert attempts_in(output) == check_whole(output).counting_folders()
    # What counts is created only where nothing of its name is, and stays.
    log = [request for request in gcs.requests() if names(request).startswith("undisturbed/commits/")]
    created = [request for request in log if request.method == "POST" and "upload" in request.path]
    assert len(created) > 10
    assert {request.query["ifGenerationMatch"][0] for request in created} == {"0"}
    assert not [request for request in log if request.method == "DELETE"]


@pytest.fixture
def on_gs(installation, gcs, bucket):
    """Starts a curation on YARN with everything in the bucket."""

    def start(mode, output, *options):
        hadoop = {f"spark.hadoop.{name}": value for name, value in gcs.hadoop_settings().items()}
        settings = (*installation.settings(mode, **gcs.environment()), *map("=".join, hadoop.items()))
        inputs = ("--archives", f"{bucket}/in/", "--metadata", f"{bucket}/{METADATA.name}", *BALANCE[2:])
        given = (*inputs, "--output", output, *options)
        return submitted(installation, mode, *given, settings=(*settings, f"spark.jars={gcs.connector}"))

    return start


def test_tables_on_gs_equal_local_ones_in_client_mode(on_gs, bucket, local):
    output = f"{bucket}/client"
    with on_gs("client", output) as job:
        assert job.end() == 0, job.log.read_text()[-3000:]
    assert content_without_tags(output) == local


def test_what_is_killed_in_cluster_mode_loses_and_doubles_nothing_on_gs(installation, on_gs, bucket, local):
    output = f"{bucket}/cluster"
    command = ("cluster", output, "--archives-per-wave", "3", "--resume")
    with on_gs(*command) as job:
        for mark in (WORKER, EXECUTOR):
            job.kill(mark)
        job.wait_for(lambda: is_extracted(output, 1))
        job.kill(DRIVER_JVM)
        job.wait_for(lambda: is_written(output, "matched"))
        installation.yarn.kill(job.application)
        assert job.end() == 1
        assert set(installation.yarn.drivers(job.application)) == {1, 2}
    assert run_json(output) is None
    with on_gs(*command) as job:
        assert job.end() == 0, job.log.read_text()[-3000:]
    assert content_without_tags(output) == local
    state = check_whole(output)
    assert attempts_in(output) == state.counting_folders()


def names(request):
    """Names the object that a request puts or deletes."""
    return request.query.get("name", [request.path.partition("/o/")[2]])[0]


def test_a_sign_of_life_is_put_over_the_one_before(gcs):
    store = HadoopStore(f"{gcs.new_bucket()}/run")
    assert store.create("commits/00000001.json", b"{}")
    assert not store.create("commits/00000001.json", b"[]")
    for beat in range(3):
        store.put_once("beats/00000001.json", str(beat).encode(), 10.0)
    ours = [request for request in gcs.requests() if store.place.split("/")[2] in request.path]
    puts = [
        (names(request), request.query["ifGenerationMatch"][0] == "0") for request in ours if request.method == "POST"
    ]
    beat = "run/beats/00000001.json"
    assert puts == [("run/commits/00000001.json", True), (beat, True), (beat, False), (beat, False)]
    assert not [request for request in ours if request.method == "DELETE"]
    assert store.read("beats/00000001.json") == b"2"


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda output: is_extracted(output, 2), id="after two waves"),
        pytest.param(lambda output: is_written(output, "matched"), id="while the pool is matched"),
    ],
)
def test_a_killed_driver_on_gs_loses_and_doubles_nothing(newest, bucket, command, local, moment, request):
    output = f"{bucket}/{request.node.callspec.id.replace(' ', '-')}"
    run_and_kill(newest, command(output), [("driver", lambda: moment(output))])
    assert run_json(output) is None
    done = run(newest, command(output))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "waiting up to" not in done.stdout, "a driver that is gone was waited for"
    assert content_without_tags(output) == local
    assert run_json(output)["status"] == "done"
    state = check_whole(output)
    assert state.ended
    assert attempts_in(output) == state.counting_folders()


def refusal(installation, command):
    """Gives the one line that tells why a command ends."""
    done = run(installation, command)
    assert done.returncode == 2, done.stdout[-3000:] + done.stderr[-3000:]
    lines = (done.stdout + done.stderr).splitlines()
    assert not [line for line in lines if line.startswith(("Traceback", "\tat ", "Caused by"))]
    (told,) = [line for line in lines if line.startswith("error: ")]
    return told


def test_without_the_connector_one_line_says_what_to_give(newest, bucket, command):
    assert refusal(newest, command(f"{bucket}/run", jar=False)).startswith(
        f"error: --output {bucket}/run: Spark has no file system for gs:// here: Dataproc brings Google's connector; "
        "elsewhere give spark-submit --jars https://repo1.maven.org/"
    )


def test_a_bucket_that_is_not_there_is_named(newest, command):
    assert refusal(newest, command("gs://no-such-bucket/run")) == (
        "error: --output gs://no-such-bucket/run cannot be written to: there is no bucket gs://no-such-bucket: make "
        "it, or correct the URL"
    )


def test_a_server_that_refuses_connections_is_told_in_one_line(newest, bucket, command):
    (port,) = free_ports(1)
    closed = {"fs.gs.storage.root.url": f"http://{HOST}:{port}/", "fs.gs.http.max.retry": "1"}
    assert re.fullmatch(
        rf"error: --output {bucket}/run: .*Connection refused.*", refusal(newest, command(f"{bucket}/run", **closed))
    )
