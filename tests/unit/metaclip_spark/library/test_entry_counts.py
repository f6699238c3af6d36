import json

import numpy as np
import pytest

from metaclip_spark import ConfigError, EntryCounts, Metadata, MetadataError, entry_probabilities, tail_share

ENTRIES = ("dog", "New York", "axolotl")


@pytest.fixture
def counts():
    return EntryCounts(ENTRIES, np.array([80, 0, 20]))


def test_its_maths_is_that_of_balancing(counts):
    assert counts.probabilities(20).tolist() == entry_probabilities(counts.counts, 20).tolist() == [0.25, 1, 1]
    assert counts.tail_share(80) == tail_share(counts.counts, 80) == 0.2
    with pytest.raises(ConfigError, match=r"^threshold_t must be a whole number"):
        counts.probabilities(0)


def test_counts_of_disjoint_pools_are_added(counts):
    added = counts + EntryCounts(ENTRIES, np.array([1, 2, 3]))
    assert added.entries == ENTRIES
    assert added.counts.tolist() == [81, 2, 23]
    assert counts.counts.tolist() == [80, 0, 20]


def test_counts_of_two_lists_are_not_added(counts):
    with pytest.raises(MetadataError, match=r"two metadata lists \(3 and 1 entries\) cannot be added"):
        _ = counts + EntryCounts(("dog",), np.array([1]))
    with pytest.raises(TypeError):
        _ = counts + 1


def test_a_sum_never_wraps_around(counts):
    with pytest.raises(MetadataError, match=r"the entry 'axolotl' add up to more than 2\^63 - 1"):
        _ = counts + EntryCounts(ENTRIES, np.array([0, 0, 2**63 - 1]))


def test_a_frame_has_a_row_for_each_entry(counts):
    frame = counts.to_pandas()
    assert frame.to_dict("list") == {"entry_text": list(ENTRIES), "entry_count": [80, 0, 20]}
    assert frame.index.name == "entry_id"
    assert frame.entry_count.dtype == np.int64


def test_counts_are_read_from_a_file(counts, tmp_path):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"axolotl": 20, "dog": 80, "New York": 0}))
    read = EntryCounts.load(path, Metadata.from_entries(ENTRIES))
    assert read.counts.tolist() == counts.counts.tolist()
    with pytest.raises(MetadataError, match="holds counts of another metadata list"):
        EntryCounts.load(path, Metadata.from_entries(["dog"]))


def test_an_entry_that_is_no_unicode_is_named():
    with pytest.raises(MetadataError, match=r"the entry '\\ud800' is not valid Unicode \(a lone surrogate\)"):
        EntryCounts(("dog", "\ud800"), np.array([1, 2]))


def test_the_representation_shows_sums():
    many = EntryCounts(tuple(map(str, range(10_000))), np.full(10_000, 3))
    assert repr(many) == "EntryCounts(10,000 entries, 30,000 matches)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2], r"the shape \(2,\): it must be \(3,\)"),
        ([1, -2, 3], "integers of at least 0"),
        ([1.5, 2, 3], "integers of at least 0"),
        ([True, False, True], "integers of at least 0"),
        (np.array([2**63, 1, 1], np.uint64), r"at most 2\^63 - 1"),
    ],
)
def test_what_no_pool_can_have_is_refused(given, message):
    with pytest.raises(MetadataError, match=message):
        EntryCounts(ENTRIES, np.array(given))
