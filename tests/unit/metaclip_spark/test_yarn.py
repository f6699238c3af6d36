"""What YARN is told, and when: the parts that need no YARN; tests/end_to_end/test_yarn.py has a real one."""

import pytest

from metaclip_spark import yarn


class Settings(dict):
    """Settings of Hadoop and of Spark, as py4j gives them."""

    def getInt(self, name, otherwise):
        return int(self.get(name, otherwise))


class Jvm:
    """The two kinds of settings that a JVM has, by the names of their classes."""

    def __init__(self, spark, hadoop):
        self.org = self.apache = self.spark = self.hadoop = self.yarn = self.conf = self
        self.SparkConf = lambda: Settings(spark)
        self.YarnConfiguration = lambda: Settings(hadoop)


IN_CLUSTER_MODE = {"spark.master": "yarn", "spark.submit.deployMode": "cluster"}


@pytest.mark.parametrize(
    ("container", "most", "final", "ends"),
    [
        ("container_1795793867087_0002_01_000001", {}, True, True),
        ("container_1795793867087_0002_01_000001", {}, False, False),
        ("container_1795793867087_0002_02_000001", {}, False, True),
        ("container_e17_1795793867087_0002_02_000001", {}, True, True),
        ("container_e17_1795793867087_0002_02_000001", {"yarn.resourcemanager.am.max-attempts": "3"}, True, False),
        ("container_e17_1795793867087_0002_03_000001", {"yarn.resourcemanager.am.max-attempts": "3"}, False, True),
        ("something else", {}, True, False),
    ],
)
def test_a_mistake_ends_the_first_attempt_and_everything_the_last(container, most, final, ends, monkeypatch):
    monkeypatch.setenv("CONTAINER_ID", container)
    assert yarn._ends_here(Jvm(IN_CLUSTER_MODE, most), final=final) == ends


def test_fewer_attempts_may_be_asked_for(monkeypatch):
    monkeypatch.setenv("CONTAINER_ID", "container_1_0002_01_000001")
    assert yarn._ends_here(Jvm({"spark.yarn.maxAppAttempts": "1"}, {}), final=False)


@pytest.mark.parametrize("other", [{"spark.submit.deployMode": "client"}, {"spark.master": "local[2]"}])
def test_a_job_that_a_container_of_another_application_submits_is_not_that_application(other):
    assert yarn._is_in_cluster_mode(Jvm(IN_CLUSTER_MODE, {}))
    assert not yarn._is_in_cluster_mode(Jvm(IN_CLUSTER_MODE | other, {}))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("no file spark.hadoop.fs.s3a.secret.key=abc, or", "no file spark.hadoop.fs.s3a.secret.key=..., or"),
        ("AWS_SESSION_TOKEN: x/y+z==", "AWS_SESSION_TOKEN: ..."),
        ("fs.s3a.access.key=AKIA is wrong", "fs.s3a.access.key=... is wrong"),
        ("--threshold-t is 0: it must be 1 or more", "--threshold-t is 0: it must be 1 or more"),
    ],
)
def test_secrets_are_not_among_the_diagnostics(line, shown):
    assert yarn._SECRET.sub(r"\1...", line) == shown
