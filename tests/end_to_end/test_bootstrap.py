"""deploy/bootstrap.sh and deploy/Dockerfile on a bare Debian 12, and the product on the Python that they install.

Debian is what Dataproc's machines and the image for its serverless form have. EMR's Amazon Linux is not tried.
"""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.end_to_end.command import BALANCE, CHECKOUT, SAMPLE
from tests.support.debian_root import NoRootError, install, make_archive, unpack
from tests.support.dockerfile import build
from tests.support.jobs import content
from tests.support.s3_server import CREDENTIALS, new_bucket, s3_server

# A system and all dependencies are installed, twice: run by `make test-bootstrap`.
pytestmark = pytest.mark.slow

PYTHON = "/opt/metaclip-spark/bin/python"
WORK = "/srv/work"
"""Where a root has the zip, the scripts and the sample."""

AS_A_WORKER = """
import json
import pyarrow as pa
import udfs.pairs.extract, udfs.matching.match, pandas
from pathlib import Path
from metaclip_spark import Damage, Matcher, Metadata, pairs_from_record, read_archive

pairs = []
for path in sorted(Path("sample").glob("*.warc.gz")):
    for record in read_archive(path):
        if not isinstance(record, Damage):
            try:
                pairs += pairs_from_record(record)
            except ValueError:
                continue  # a record without a page
texts = {pair.pair_id: pair.alt_text for pair in pairs}
ids = Matcher(Metadata.load("wordnet_lemmas.txt.gz")).ids(pa.array(list(texts.values()))).to_pylist()
print(json.dumps([len(pairs), len(texts), sum(map(bool, ids))]))
"""

GET_METADATA = """#!/bin/sh
[ "$1" = attributes/wheel ] && echo /root/{wheel} && exit
[ "$1" = attributes/constraints ] && echo /root/constraints.txt && exit
[ "$1" = attributes/packages ] && echo gcsfs s3fs && exit
exit 1
"""
"""Stands for the program that Dataproc has: the value of a key, or failure."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    made = tmp_path_factory.mktemp("debian") / "root.tar"
    try:
        make_archive(made)
    except NoRootError as error:
        pytest.skip(str(error))
    yield made
    made.unlink()


@pytest.fixture(scope="module")
def new_root(archive):
    made = []

    def unpacked(name):
        made.append(archive.parent / name)
        try:
            root = unpack(archive, made[-1])
        except NoRootError as error:
            pytest.skip(str(error))
        bring_the_code(root)
        return root

    yield unpacked
    for folder in made:
        shutil.rmtree(folder)


def bring_the_code(root):
    folder = root.path(WORK)
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, CHECKOUT / ".ci/build_zip.py", folder / "metaclip_spark.zip"], check=True)
    shutil.copytree(CHECKOUT / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SAMPLE, folder / "sample")
    shutil.copy(CHECKOUT / "tests/data/wordnet_lemmas.txt.gz", folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """What `make wheel` makes."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."]
    subprocess.run(command, check=True, cwd=CHECKOUT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def machine(new_root, wheel):
    """A machine with the scripts and what they take, before anything has run on it."""
    root = new_root("machine")
    for file in (CHECKOUT / "deploy/bootstrap.sh", CHECKOUT / "constraints.txt", wheel):
        shutil.copy(file, root.path("/root"))
    return root


@pytest.fixture(scope="module")
def bootstrapped(machine, wheel):
    """The machine after the script has run as Dataproc runs it, and what the script printed."""
    program = machine.path("/usr/share/google/get_metadata_value")
    program.parent.mkdir()
    program.write_text(GET_METADATA.format(wheel=wheel.name))
    program.chmod(0o755)
    done = machine.run("bash", "/root/bootstrap.sh")
    program.unlink()
    return machine, done.stdout


def freeze(root):
    listed = root.run(PYTHON, "-m", "pip", "freeze").stdout
    return {name.lower().replace("_", "-"): version for name, version in re.findall(r"^(\S+)==(\S+)", listed, re.M)}


def others_than_the_constraints(installed):
    wanted = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (CHECKOUT / "constraints.txt").read_text("utf-8"), re.M))
    assert len(wanted.keys() & installed.keys()) > 30
    return {name: version for name, version in installed.items() if wanted.get(name, version) != version}


def check_as_a_worker(root, user="root", environment=None):
    """The Python reads archives and matches texts with the code of the zip, as this one does with the checkout's."""
    seen = {"PYTHONPATH": f"{WORK}/metaclip_spark.zip", **(environment or {})}
    version = root.run(PYTHON, "-m", "metaclip_spark", "--version", user=user, environment=seen)
    assert version.stdout.startswith("metaclip-spark ")
    found = root.run(PYTHON, "-c", AS_A_WORKER, user=user, environment=seen, folder=WORK)
    assert json.loads(found.stdout) == [8574, 7394, 4785]


def test_a_wrong_name_ends_the_script_before_it_installs_anything(machine):
    done = machine.run("bash", "/root/bootstrap.sh", check=False)
    assert (done.returncode, done.stderr.splitlines()[0][:17]) == (2, "usage: bootstrap.")
    done = machine.run("bash", "/root/bootstrap.sh", "/root/other.whl", check=False)
    assert done.returncode == 1
    assert "cannot stat '/root/other.whl'" in done.stderr
    assert not list(machine.path("/usr/bin").glob("python3*"))


def test_the_script_installs_python_and_the_versions_of_the_constraints(bootstrapped):
    root, printed = bootstrapped
    assert printed.splitlines()[-1] == f"ready: {PYTHON}"
    assert root.run(PYTHON, "--version").stdout.startswith("Python 3.11.")
    installed = freeze(root)
    assert {"boto3", "fastwarc", "gcsfs", "numba", "pandas", "pyarrow", "s3fs", "selectolax"} <= installed.keys()
    # The project's code comes by --py-files, and Spark is the cluster's.
    assert not {"metaclip-spark", "pyspark"} & installed.keys()
    assert not others_than_the_constraints(installed)
    assert not list(root.path("/tmp").iterdir())


def test_what_the_script_installed_reads_archives_and_matches_texts(bootstrapped):
    check_as_a_worker(bootstrapped[0])


def test_a_user_who_may_sudo_installs_it_from_s3(bootstrapped, wheel):
    """As EMR does: the script runs as the user hadoop, and the wheel comes by the AWS command line."""
    root, _ = bootstrapped
    install(root, ["sudo"])
    root.run("useradd", "-m", "hadoop")
    root.path("/etc/sudoers.d/hadoop").write_text("hadoop ALL=(ALL) NOPASSWD: ALL\n")
    root.run("python3.11", "-m", "venv", "/opt/aws")
    root.run("/opt/aws/bin/python", "-m", "pip", "install", "--quiet", "awscli")
    root.path("/usr/local/bin/aws").symlink_to("/opt/aws/bin/aws")
    shutil.copy(root.path("/root/bootstrap.sh"), root.path("/home/hadoop"))
    home = root.path("/opt/metaclip-spark")
    shutil.rmtree(home)
    with s3_server() as endpoint:
        bucket = new_bucket(endpoint)
        given = [bucket.put(wheel.name, wheel.read_bytes())]
        given.append(bucket.put("constraints.txt", (CHECKOUT / "constraints.txt").read_bytes()))
        environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
        done = root.run("bash", "bootstrap.sh", *given, user="hadoop", environment=environment, folder="/home/hadoop")
        missing = root.run(
            *("bash", "bootstrap.sh", f"s3://{bucket.name}/none.whl"),
            user="hadoop", environment=environment, folder="/home/hadoop", check=False,
        )  # fmt: skip
    assert done.stdout.splitlines()[-1] == f"ready: {PYTHON}"
    assert missing.returncode != 0
    assert "404" in missing.stderr
    assert home.stat().st_uid == 0
    check_as_a_worker(root, user="hadoop")


def test_spark_curates_on_what_the_script_installed(bootstrapped, request):
    """Spark and Java are not of the script: Spark is this environment's, Java is Debian's."""
    root, _ = bootstrapped
    # Only now: fixtures of a session come first, and would run Spark where no root can be made.
    newest, reference = map(request.getfixturevalue, ("newest", "reference"))
    install(root, ["openjdk-17-jre-headless", "procps"])
    root.mount(newest.site_packages / "pyspark", "/opt/spark")
    command = ["/opt/spark/bin/spark-submit", "--master", "local[2]", "--py-files", "metaclip_spark.zip"]
    command += ["--conf", f"spark.pyspark.python={PYTHON}", "jobs/curate.py", "--archives", "sample"]
    options = [str(option).replace(str(CHECKOUT / "tests/data"), WORK) for option in BALANCE]
    environment = {"SPARK_HOME": "/opt/spark", "SPARK_LOCAL_IP": "127.0.0.1"}
    root.run(*command, *options, "--output", "out", environment=environment, folder=WORK)
    assert content(root.path(f"{WORK}/out")) == reference


def test_the_dockerfile_makes_what_dataproc_serverless_asks_for(new_root):
    """Its commands run in a root in place of the base image `debian:12-slim`; no container is built."""
    root = new_root("image")
    text = (CHECKOUT / "deploy/Dockerfile").read_text("utf-8")
    image = build(root, text, CHECKOUT, SPARK_USER="spark", PACKAGES="gcsfs")
    assert image.user == "spark:spark"
    assert root.run("id", user=image.user).stdout.startswith("uid=1099(spark) gid=1099(spark)")
    assert root.path("/home/spark").is_dir()
    assert {image.environment[name] for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")} == {PYTHON}
    for program in ("ps", "tini"):
        root.run(program, "--version", user=image.user)
    installed = freeze(root)
    assert {"gcsfs", "numba"} <= installed.keys()
    assert not {"metaclip-spark", "pyspark"} & installed.keys()
    assert not others_than_the_constraints(installed)
    assert not root.path("/build").exists()
    # Without certificates nothing is read over https; the base image has none.
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert int(root.run(PYTHON, "-c", count, user=image.user).stdout) > 50
    check_as_a_worker(root, user=image.user, environment=image.environment)
