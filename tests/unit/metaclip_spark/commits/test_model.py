"""Drivers that share a folder, under a scheduler that pauses, kills and wakes them: nothing that counts is lost."""

import time

import pytest

from tests.support.commit_model import Faults, try_schedules

SECONDS = 20.0
FEWEST = 500
MOST = 20_000


def test_no_schedule_loses_what_counts():
    """As many schedules as fit into some seconds of processor time; `make test-model` tries 20,000."""
    begun = time.process_time()
    tried = finished = 0
    while tried < FEWEST or (time.process_time() - begun < SECONDS and tried < MOST):
        violations, some, done = try_schedules(range(tried, tried + 100), Faults())
        assert not violations
        tried, finished = tried + some, finished + done
    # Most schedules come to an end, or they would show little.
    assert finished > tried / 2


@pytest.mark.parametrize("faults", [Faults(put_for_create=True), Faults(any_garbage=True)], ids=["put", "garbage"])
def test_the_model_sees_that_a_protocol_is_wrong(faults):
    """Entries that are looked for and then put; folders of later drivers that are deleted."""
    assert any(try_schedules(range(first, first + 25), faults)[0] for first in range(0, FEWEST, 25))
