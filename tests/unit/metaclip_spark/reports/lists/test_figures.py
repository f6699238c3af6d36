"""What is remarked on the numbers of several metadata lists."""

import pytest
from msgspec import UNSET

from metaclip_spark.config.curation import LanguageConfig
from metaclip_spark.reports.lists.figures import list_warnings
from metaclip_spark.reports.records import ListFigures
from metaclip_spark.runs.records import Draw, Gate, SampleManifest, SampleNumbers, SampleSettings


def figures_of(code, *, threshold_t=5, tail_share=0.0, pairs=10, kept=10):
    sizes = {"matches": pairs, "expected_size": kept, "standard_error": 0.0, "entries": 2, "entries_matched": 1}
    return ListFigures(
        metadata_language=code,
        texts=pairs,
        pairs=pairs,
        threshold_t=threshold_t,
        tail_share=tail_share,
        kept=kept,
        floor_applied=False,
        **sizes,
    )


def sampled_with(*, threshold_t=5, list_tail_share=UNSET):
    draw = Draw(threshold_t=threshold_t, tail_share=None, target_pairs=None, seed=0)
    numbers = {"expected_size": 8, "standard_error": 1.0, "size_bound": 9.0, "tail_share": 0.0, "head_entries_cut": 1}
    return SampleManifest(
        step="sample",
        config=SampleSettings(
            sample=draw, gate=Gate.of(LanguageConfig()), entry_counts_digest="", matched="", anchor="en"
        ),
        input="",
        numbers=SampleNumbers(
            pairs_in=10,
            gated_out=0,
            not_drawn=2,
            pairs=8,
            threshold_t=threshold_t,
            suspect=False,
            threshold_of="en",
            list_tail_share=list_tail_share,
            **numbers,
        ),
        settings={},
        seconds=0.0,
    )


@pytest.mark.parametrize(
    ("english", "list_tail_share", "warned"),
    [
        # Its own t was given, and leaves it no tail; all others took the share of --threshold-t.
        ({"threshold_t": 1}, 0.2, False),
        # Its t was raised by the floor: it has a tail now, and the share that all others took is 0 all the same.
        ({"threshold_t": 90, "tail_share": 0.4}, 0.0, True),
        ({"threshold_t": 1}, 0.0, True),
        ({"threshold_t": "inf", "tail_share": 1.0}, UNSET, False),
    ],
)
def test_it_is_the_share_that_was_taken_which_is_warned_of(english, list_tail_share, warned):
    figures = [figures_of("de", threshold_t=5000), figures_of("en", **english)]
    told = list_warnings(figures, sampled_with(list_tail_share=list_tail_share))
    assert len(told) == warned
    if warned:
        assert told[0].startswith("the tail share is 0: ")
        assert told[0].endswith("so t is 1 for every other language, unless it is given or raised")


def test_languages_of_which_next_to_nothing_is_kept_are_named():
    figures = [figures_of("de", pairs=1000, kept=9), figures_of("en", pairs=1000, kept=10)]
    (told,) = list_warnings(figures, sampled_with(list_tail_share=0.2))
    assert told.startswith("less than 1% of the matched pairs is kept of 1 language: de.")
