"""The benchmark's tests run where the extra `benchmark` is installed; there a skipped test is a failure."""

import importlib.util

import pytest

# `make test` collects everything with the environment that has no torch.
collect_ignore_glob = ["*"] if importlib.util.find_spec("torch") is None else []


def failed_if_skipped(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return failed_if_skipped((yield))
