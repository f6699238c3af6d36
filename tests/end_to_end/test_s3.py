"""The whole job with archives and tables on S3: by plain python, under kills of a write, and through a faulty proxy.

The jars come from Maven Central; where that cannot be reached the tests are skipped.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.support.fault_server import FaultProxy
from tests.support.jobs import CHECKOUT, SAMPLE, content_without_tags
from tests.support.metadata_builds import write_sources
from tests.support.s3_server import new_bucket, s3_server

# Spark fetches its S3 jars, and nine sessions start: run by `make test-s3`.
pytestmark = pytest.mark.slow

MAVEN = "https://repo1.maven.org/maven2/org/apache/hadoop/hadoop-aws/3.4.2/hadoop-aws-3.4.2.pom"
BALANCE = ("--metadata", CHECKOUT / "tests/data/wordnet_lemmas.txt.gz", "--threshold-t", "20", "--seed", "5")
LINES = {"4.1": sys.executable, "3.5": os.environ.get("METACLIP_SPARK35_PYTHON")}


@pytest.fixture(scope="module")
def bucket():
    try:
        urllib.request.urlopen(MAVEN, timeout=20).close()
    except OSError as error:
        pytest.skip(f"Maven Central, which has Spark's S3 jars, cannot be reached: {error}")
    with s3_server() as endpoint:
        made = new_bucket(endpoint)
        for path in sorted(SAMPLE.glob("*.warc.gz")):
            made.put(f"in put/{path.name}", path.read_bytes())
        yield made


def command(python, *options, job="curate"):
    return [python, str(CHECKOUT / "jobs" / f"{job}.py"), *map(str, options), "--s3-packages"]


def environment(python, endpoint):
    return {
        **os.environ,
        "METACLIP_S3_ENDPOINT": endpoint,
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "PYTHONPATH": str(CHECKOUT),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def run(python, endpoint, *options, job="curate"):
    return subprocess.run(
        command(python, *options, job=job), env=environment(python, endpoint), capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip


def content(bucket, output):
    """Gives the tables of a run in the bucket, read without Spark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METACLIP_S3_ENDPOINT", bucket.endpoint)
        return content_without_tags(f"s3://{bucket.name}/{output}")


@pytest.fixture(scope="module")
def undisturbed(bucket):
    done = run(
        sys.executable, bucket.endpoint,
        "--archives", f"s3://{bucket.name}/in put/", *BALANCE, "--output", f"s3://{bucket.name}/out", "--resume",
        "--archives-per-wave", 2, "--waves-at-once", 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "S3AFileSystem, committed by S3A's magic committer" in done.stderr
    assert bucket.keys("out/run.json")
    assert not [key for key in bucket.keys("out/") if "__magic" in key or "_temporary" in key]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    assert secret not in done.stderr + done.stdout
    for key in bucket.keys("out/"):
        if key.endswith((".json", ".html", ".md")):
            assert secret.encode() not in bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read(), key
    return content(bucket, "out")


def test_tables_on_s3_equal_local_ones(undisturbed, reference_of_warcs):
    assert undisturbed == reference_of_warcs


@pytest.fixture(scope="module")
def reference_of_warcs(tmp_path_factory):
    output = tmp_path_factory.mktemp("local") / "out"
    done = subprocess.run(
        [sys.executable, CHECKOUT / "jobs" / "curate.py", "--archives", f"{SAMPLE}/*.warc.gz", *map(str, BALANCE),
         "--output", output],
        env=environment(sys.executable, ""), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return content_without_tags(output)


@pytest.mark.parametrize("line", LINES)
def test_a_faulty_network_changes_nothing(bucket, undisturbed, line):
    if LINES[line] is None:
        pytest.skip("METACLIP_SPARK35_PYTHON names no Python with Spark 3.5")
    with FaultProxy(bucket.endpoint, refused=0.10, cut=0.05, seed=int(line[0])) as proxy:
        done = run(
            LINES[line], proxy.url,
            "--archives", f"s3://{bucket.name}/in put/", *BALANCE, "--output", f"s3://{bucket.name}/faults{line}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        assert proxy.counts["refused"] > 20
        assert proxy.counts["cut"]
        sys.stdout.write(f"faults on Spark {line}: {dict(proxy.counts)}\n")
    assert content(bucket, f"faults{line}") == undisturbed


def test_a_reader_sees_no_part_of_a_killed_write(bucket, undisturbed):
    output = "killed"
    options = (
        "--archives",
        f"s3://{bucket.name}/in put/",
        *BALANCE,
        "--output",
        f"s3://{bucket.name}/{output}",
        "--resume",
    )
    process = subprocess.Popen(
        command(sys.executable, *options), env=environment(sys.executable, bucket.endpoint),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while not any("__magic" in key for key in bucket.keys(f"{output}/pool/")):
        assert process.poll() is None, "over before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # Work is going on below, and a reader of the table sees nothing of it.
    seen = [key for key in bucket.keys(f"{output}/pool/") if not any(p[0] in "_." for p in key.split("/") if p)]
    assert [key for key in seen if key.endswith(".parquet")] == []
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not bucket.keys(f"{output}/run.json")
    done = run(sys.executable, bucket.endpoint, *options, "--clean")
    assert done.returncode == 0, done.stderr[-4000:]
    assert content(bucket, output) == undisturbed
    assert not bucket.client.list_multipart_uploads(Bucket=bucket.name, Prefix=f"{output}/").get("Uploads")


def test_metadata_is_counted_from_s3_to_s3(bucket, tmp_path):
    write_sources(tmp_path)
    for path in tmp_path.rglob("*.*"):
        if path.is_file():
            bucket.put(f"dumps/{path.relative_to(tmp_path)}", path.read_bytes())
    lists = {}
    for place, output in (
        (str(tmp_path), tmp_path / "list"),
        (f"s3://{bucket.name}/dumps", f"s3://{bucket.name}/list"),
    ):
        options = [
            "--articles", f"{place}/*multistream*", "--pageviews", f"{place}/pageviews*", "--wordnet", f"{place}/dict",
            "--min-unigram-count", "6", "--min-pmi", "2", "--output", str(output), "--s3-packages",
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, CHECKOUT / "jobs" / "build_metadata.py", *options],
            env=environment(sys.executable, bucket.endpoint),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        (lists[place],) = [line for line in done.stdout.splitlines() if "entries, digest " in line]
    assert len(set(lists.values())) == 1, lists
    keys = bucket.keys("list/")
    assert {"list/metadata.json", "list/metadata.parquet", "list/metadata.run.json"} <= set(keys)
    for table in ("word_counts/kind=bigram", "title_views/kind=title"):
        assert [key for key in keys if key.startswith(f"list/{table}/")]
    assert not [key for key in keys if "__magic" in key or "_temporary" in key or key.endswith("lock.json")]


def test_a_run_on_s3_is_explained_by_pair_and_by_url_and_planned(bucket, undisturbed):
    row = json.loads(undisturbed["curated"][0])
    given = ("--run", f"s3://{bucket.name}/out")
    for named in (("--pair-id", row["pair_id"]), ("--url", row["image_url"])):
        done = run(sys.executable, bucket.endpoint, *given, *named, job="explain_pair")
        assert done.returncode == 0, done.stderr[-4000:]
        assert f"pair {row['pair_id']}" in done.stdout
        assert f"keep probability {row['keep_probability']:.6f}" in done.stdout
        assert "verdict          kept" in done.stdout
    planned = run(sys.executable, bucket.endpoint, *given, job="plan_threshold")
    assert planned.returncode == 0, planned.stderr[-4000:]
    assert "expected size" in planned.stdout


def test_without_the_jars_one_line_says_what_to_give(bucket):
    given = ("--archives", f"s3://{bucket.name}/in put/", *BALANCE, "--output", f"s3://{bucket.name}/nojars")
    plain = [part for part in command(sys.executable, *given) if part != "--s3-packages"]
    done = subprocess.run(
        plain,
        env=environment(sys.executable, bucket.endpoint),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: Spark has no file system for s3a:// here: give spark-submit --packages org.apache")
