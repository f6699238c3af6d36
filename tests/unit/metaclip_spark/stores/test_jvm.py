"""What the JVM prints: held back while it starts, shown if it fails to, passed on afterwards."""

import os
import time

import pytest

from metaclip_spark.stores.jvm import _Errors, _our_logging


def written_by(errors, text):
    os.write(errors.writer, text)
    while not errors._held:
        time.sleep(0.01)


def test_noise_of_the_start_is_dropped_and_later_errors_are_shown(capfd):
    with _Errors() as errors:
        written_by(errors, b"WARNING: Using incubator modules\n")
        jvm = os.dup(errors.writer)
    os.write(jvm, b"ERROR Executor: out of memory\n")
    os.close(jvm)
    errors._thread.join()
    assert capfd.readouterr().err == "ERROR Executor: out of memory\n"


def test_a_start_that_fails_shows_all_of_it(capfd):
    with pytest.raises(RuntimeError), _Errors() as errors:
        written_by(errors, b"Error: no space\n")
        raise RuntimeError
    assert capfd.readouterr().err == "Error: no space\n"


def test_a_users_own_settings_of_log4j_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dmine=1")
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with _our_logging():
        assert os.environ["SPARK_SUBMIT_OPTS"].startswith("-Dlog4j2.configurationFile=file:///")
        assert os.environ["SPARK_SUBMIT_OPTS"].endswith("/log4j2.properties -Dmine=1")
    (tmp_path / "log4j2.xml").touch()
    with _our_logging():
        assert os.environ["SPARK_SUBMIT_OPTS"] == "-Dmine=1"
    assert os.environ["SPARK_SUBMIT_OPTS"] == "-Dmine=1"
