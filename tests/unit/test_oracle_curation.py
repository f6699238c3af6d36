"""Matching, counting and the draw in the workers agree with the oracle on the sample and the WordNet list."""

import hashlib
import math

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark.balance import entry_probabilities, threshold_for_tail_share
from tests.support import oracle
from tests.support.paths import DATA
from udfs.balancing.draw import pair_draws
from udfs.balancing.probability import keep_probabilities
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.engine import MatchEngine
from udfs.matching.entries import entries_as_json
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables


@pytest.fixture(scope="module")
def entries() -> list[str]:
    return oracle.read_entries(DATA / "wordnet_lemmas.txt.gz")


@pytest.fixture(scope="module")
def sample_pool() -> list[oracle.Row]:
    return oracle.pool(oracle.oracle_pairs(sorted((DATA / "sample").glob("*.warc.gz"))))


@pytest.fixture(scope="module")
def matched(sample_pool: list[oracle.Row], entries: list[str]) -> list[oracle.Row]:
    return oracle.match(sample_pool, entries)


def _engine(name: str, entries: list[str]) -> MatchEngine:
    if name == "pyahocorasick":
        return CharacterAutomaton(entries)
    digest = hashlib.sha256(entries_as_json(entries)).hexdigest()
    return TokenAutomaton(build_token_tables(entries, digest))


@pytest.mark.parametrize("name", ["token", "pyahocorasick"])
def test_each_engine_finds_what_the_scan_finds(
    name: str, entries: list[str], sample_pool: list[oracle.Row], matched: list[oracle.Row]
) -> None:
    expected = {row["pair_id"]: row["entry_ids"] for row in matched}
    found = _engine(name, entries).match(pa.array([row["alt_text"] for row in sample_pool])).to_pylist()

    assert found == [expected.get(row["pair_id"], []) for row in sample_pool]


@pytest.mark.parametrize("threshold_t", [1, 7, 20, math.inf])
@pytest.mark.parametrize("seed", [0, 3, 2**64 - 1])
def test_the_kept_set_is_the_oracles(
    threshold_t: float, seed: int, entries: list[str], matched: list[oracle.Row]
) -> None:
    counts = oracle.count(matched, entries)
    kept = {row["pair_id"]: row["keep_probability"] for row in oracle.keep(matched, counts, threshold_t, seed)}
    entry_ids = pa.array([row["entry_ids"] for row in matched], pa.list_(pa.int32()))
    pair_ids = [row["pair_id"] for row in matched]
    probabilities = keep_probabilities(entry_ids, entry_probabilities(np.array(counts), threshold_t))
    draws = pair_draws(pa.array(pair_ids), seed)

    chosen = {
        pair_id: probability
        for pair_id, probability, draw in zip(pair_ids, probabilities.tolist(), draws.tolist(), strict=True)
        if draw < probability
    }
    assert chosen == pytest.approx(kept, rel=1e-14)


@pytest.mark.parametrize("share", ["0.001", "0.03", "0.06", "0.2", "0.5", "0.9", "1"])
def test_the_threshold_for_a_tail_share_is_the_oracles(
    share: str, entries: list[str], matched: list[oracle.Row]
) -> None:
    counts = oracle.count(matched, entries)

    assert threshold_for_tail_share(np.array(counts), float(share)) == oracle.tail_share_threshold(counts, share)


def test_the_oracles_choice_of_entries_to_try_loses_none(sample_pool: list[oracle.Row], entries: list[str]) -> None:
    """The scan of all entries over some texts: the oracle tries only entries whose first word a text has."""
    some = sample_pool[::37]
    ids = {row["pair_id"]: row["entry_ids"] for row in oracle.match(some, entries)}
    for row in some:
        spaced = oracle.spaced(row["alt_text"])
        assert ids.get(row["pair_id"], []) == [place for place, entry in enumerate(entries) if f" {entry} " in spaced]
