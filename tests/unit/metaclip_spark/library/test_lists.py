"""A folder of metadata lists in the library: the run's own tables come again."""

import json

import numpy as np
import pytest

from metaclip_spark import ConfigError, EntryCounts, Metadata, MetadataError, count_entries, match_pairs, open_run
from tests.support.list_folders import LISTS
from tests.support.paths import CHECKOUT

pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture(scope="module")
def run(run_of_lists):
    return open_run(run_of_lists)


@pytest.fixture(scope="module")
def metadata(run_of_lists):
    return Metadata.load(run_of_lists.parent / "lists")


def matched_of(pairs):
    columns = ("pair_id", "language", "metadata_language", "entry_ids")
    return sorted(tuple(row) for row in pairs.select(*columns).collect())


def test_a_run_knows_its_lists(run, metadata):
    found = run.metadata
    assert (found.entries, found.digest) == (metadata.entries, metadata.digest)
    assert (found.labels, found.anchor, found.word_borders) == (metadata.labels, "en", "script")
    for code, entries in LISTS.items():
        assert found.of(code) == metadata.of(code)
        assert list(found.of(code)) == entries
    assert metadata.of("ja").word_borders == "script"


def test_pairs_are_matched_as_the_run_did(run, metadata):
    stored = matched_of(run.matched)
    by_page = match_pairs(run.pool, metadata, language_from="page", page_language_probability=0.01)
    assert matched_of(by_page) == stored
    counts = count_entries(by_page, metadata).counts
    assert counts.tolist() == run.entry_counts.counts.tolist()
    by_text = matched_of(match_pairs(run.pool, metadata))
    assert by_text != stored
    unlikely = match_pairs(run.pool, metadata, min_list_probability=1)
    assert {row[2] for row in matched_of(unlikely)} == {"de", "other"}
    by_column = match_pairs(run.pool, metadata, language_from="column")
    assert {row[2] for row in matched_of(by_column)} == {"other"}


def test_what_is_for_lists_is_refused_with_a_single_one(run):
    for given, told in (
        ({"language_from": "page"}, "^language_from is for a folder of lists, and metadata is a single list: leave it"),
        ({"min_list_probability": 0.5}, "^min_list_probability is for a folder of lists"),
        ({"language_from": "url"}, "^language_from is 'url': it must be one of text, page, column"),
        ({"page_language_probability": 2}, "^page_language_probability is 2: it must be a number from 0 to 1"),
    ):
        with pytest.raises(ConfigError, match=told):
            match_pairs(run.pool, ["dog"], **given)
    with pytest.raises(ConfigError, match="give engine pyahocorasick"):
        match_pairs(run.pool, Metadata.from_entries(["dog"], word_borders="metaclip2"))


def test_thresholds_and_counts_of_each_language(run, metadata):
    rows = {row.metadata_language: row for row in run.thresholds.collect()}
    assert {code: row.threshold_t for code, row in rows.items()} == {"de": None, "en": 5, "ja": 2, "other": 1}
    loaded = EntryCounts.load(run.path, metadata)
    assert loaded.counts.tolist() == run.entry_counts.counts.tolist()
    limit = np.repeat([2**63 - 1, 5, 2, 1], [len(LISTS[code]) for code in sorted(LISTS)])
    red = metadata.entries.index("red")
    assert loaded.probabilities(limit)[red] == 5 / loaded.counts[red]
    with pytest.raises(MetadataError, match="holds counts of other metadata lists"):
        EntryCounts.load(run.path, CHECKOUT / "tests" / "data" / "languages")


def test_the_papers_one_list_is_not_compared_with_several(run):
    with pytest.raises(ConfigError, match=r"^compare_with_paper is for runs with one metadata list, .* has 4 lists: "):
        run.compare_with_paper()


def test_the_entries_of_lists_are_compared_with_those_of_the_same_list(run):
    for other in (run, run.entry_counts):
        compared = run.compare(other)
        assert (compared.shared, compared.rank_correlation, compared.moves) == (len(run.metadata), 1.0, [])


def test_counts_of_other_lists_are_not_compared_by_text_alone(run):
    counts = run.entry_counts
    entries = (*counts.entries, "chien")
    assert len(set(entries)) < len(entries)
    compared = run.compare(EntryCounts(entries, np.append(counts.counts, 1)))
    assert (compared.shared, compared.moves) == (0, [])
    assert compared.sentence.startswith("Only this run has several metadata lists")


def test_a_table_of_the_counts_of_lists_is_compared_by_list_and_text(run, tmp_path):
    compared = run.compare(f"{run.path}/entry_counts")
    assert (compared.shared, compared.rank_correlation, compared.sentence) == (len(run.metadata), 1.0, "")
    counts = dict.fromkeys(run.metadata.entries, 1)
    (tmp_path / "single.json").write_text(json.dumps(counts))
    compared = run.compare(tmp_path / "single.json")
    assert compared.shared == 0
    assert compared.sentence.startswith("Only this run has several metadata lists, so entries cannot be compared")
