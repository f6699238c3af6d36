"""What counts after some entries: by examples, and what must hold after any entries of any drivers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark.commits.entries import Attempt, Drop, End, FileWritten, Finish, Import, Open, Reset, Written
from metaclip_spark.commits.state import STEPS, STEPS_IN_ROUNDS, State
from tests.support.runs import OWNER, archive_summary, begin, opened, sample, state_after, table, wave, wave_folder


def at(folder):
    return Written(folder, (FileWritten("part-0.parquet", 10, 1),))


def tables(step, begun, *buckets):
    return [table(OWNER, step, bucket, begun, **{step: at(f"{step}/{bucket}")}) for bucket in buckets]


DONE = [
    begin(),  # 2
    wave("00000-aa", archive_summary("a"), archive_summary("b")),
    *tables("extract", 2, None),
    begin("deduplicate", buckets=2),  # 5
    *tables("deduplicate", 5, 0, 1),
    begin("match", buckets=2),  # 8
    *tables("match", 8, 0, 1),
    begin("exclude", buckets=2),  # 11
    *tables("exclude", 11, 0, 1),
    *tables("count", 0, None),
    sample(OWNER, curated=at("curated-1")),
    Finish(owner=OWNER, sample="curated-1", report="report/1"),  # 16
]


def steps_of(state):
    return {step for step, _ in state.tables}


def test_a_whole_run_counts():
    state = state_after(*DONE)
    assert steps_of(state) == set(STEPS)
    assert (state.finished, state.finish_number) == (DONE[-1], 16)
    assert state.written("match", 1) == at("match/1")
    assert state.written("match") is None
    assert state.written("curated") == at("curated-1")
    assert state.buckets("match") == 2
    assert "report/1" in state.counting_folders()
    assert state.changed


@pytest.mark.parametrize("step", STEPS_IN_ROUNDS)
def test_a_round_ends_the_earlier_one_and_those_of_the_steps_after_it(step):
    state = state_after(*DONE, begin(step))
    assert steps_of(state) == set(STEPS[: STEPS.index(step)])
    assert state.begins.keys() == set(STEPS[: STEPS.index(step) + 1])
    assert state.sample == DONE[-2]
    assert state.finished is None
    assert list(state.waves) == [wave_folder("00000-aa")]


def test_a_bucket_of_an_earlier_round_never_counts_again():
    late = table(OWNER, "match", 0, 8, match=at("match/late"))
    state = state_after(*DONE, begin("match"), late)
    assert "match" not in steps_of(state)
    assert "match/late" in state.named - state.counting_folders()
    assert state_after(*DONE, begin("match"), late, table(OWNER, "match", 0, 17, match=at("m"))).written(
        "match", 0
    ) == at("m")


def test_a_bucket_that_is_made_again_takes_the_place_of_the_first():
    again = table(OWNER, "match", 0, 8, match=at("match/again"))
    state = state_after(*DONE, again)
    assert state.written("match", 0) == at("match/again")
    assert "match/0" not in state.counting_folders()
    assert ("count", None) in state.tables


def drop(archive):
    return Drop(owner=OWNER, attempts=(Attempt(wave_folder("00000-aa"), archive),), reason="changed")


def test_what_was_dropped_counts_no_more_nor_what_was_made_from_it():
    state = state_after(*DONE, drop("a"))
    assert not state.tables
    assert state.sample
    # The other archive of that wave still counts.
    assert wave_folder("00000-aa") in state.counting_folders()
    assert wave_folder("00000-aa") not in state_after(*DONE, drop("a"), drop("b")).counting_folders()


def test_nothing_before_a_reset_counts():
    state = state_after(*DONE, Reset(owner=OWNER))
    assert state.counting_folders() == set()
    assert (state.waves, state.tables, state.samples, state.begins, state.finished) == ({}, {}, [], {}, None)
    assert state.named > {"curated-1", "match/0", "report/1"}


def test_an_import_counts_in_place_of_what_was_there():
    matched = table(OWNER, "match", 0, match=at("m"))
    entries = (begin(), wave("00000-bb", archive_summary("z")), begin("match"), matched)
    told = Import(owner=OWNER, entries=entries)
    state = state_after(*DONE, told)
    assert list(state.waves) == [wave_folder("00000-bb")]
    assert steps_of(state) == {"match"}
    # Its buckets are of its own round, and a bucket of that round may be made later.
    assert state.begins["match"][0] == 17
    later = table(OWNER, "match", 1, 17, match=at("later"))
    assert state_after(*DONE, told, later).written("match", 1) == at("later")


def test_several_samples_are_kept_where_asked_for_and_one_counts():
    state = state_after(*DONE, sample(OWNER, curated=at("curated-2")), sample(OWNER, curated=at("curated-3")))
    assert state.written("curated") == at("curated-3")
    kept = [folder for folder in state.counting_folders(samples=2) if folder.startswith("curated")]
    assert sorted(kept) == ["curated-2", "curated-3"]


def test_who_has_lost_the_folder_says_nothing_that_counts():
    state = state_after(*DONE)
    state.take(17, opened("second"))
    for number, late in enumerate((Reset(owner=OWNER), End(owner=OWNER), begin("match")), start=18):
        state.take(number, late)
    assert steps_of(state) == set(STEPS)
    assert not state.ended
    assert state.number == 20
    state.take(21, End(owner="second"))
    assert state.ended
    assert state.finished


def test_opening_and_leaving_changes_nothing():
    state = State()
    for number, entry in enumerate((opened("a"), End(owner="a"), opened("b"), End(owner="b")), start=1):
        state.take(number, entry)
    assert not state.changed
    assert state.ended


KINDS = ("open", "begin", "wave", "table", "sample", "finish", "drop", "reset", "end")
ACTS = st.tuples(
    st.sampled_from(KINDS), st.booleans(), st.sampled_from(STEPS), st.integers(0, 1), st.sampled_from(["now", "before"])
)


def entries_of(acts):
    """Makes a log of what drivers do, some of which have lost the folder and go on with rounds of before."""
    owners, rounds = ["1"], {}
    yield opened("1")
    for number, (kind, stale, step, bucket, which) in enumerate(acts, start=2):
        owner = owners[0] if stale else owners[-1]
        folder = at(f"{step}/bucket={bucket:03d}/{len(owners):08d}-{number:08x}")
        numbers = rounds.setdefault(step, [0])
        begun = numbers[-1] if which == "now" else numbers[len(numbers) // 2]
        if kind == "open":
            owners.append(str(number))
            yield opened(str(number))
        elif kind == "begin":
            if step in STEPS_IN_ROUNDS and owner == owners[-1]:
                numbers.append(number)
            yield begin(step if step in STEPS_IN_ROUNDS else "match", owner=owner)
        elif kind == "wave":
            yield wave(f"{number:05d}-aa", archive_summary(str(bucket)), owner=owner)
        elif kind == "table":
            yield table(owner, step, bucket, begun if step in STEPS_IN_ROUNDS else 0, **{step: folder})
        elif kind == "sample":
            yield sample(owner, curated=folder)
        elif kind == "finish":
            yield Finish(owner=owner, sample="", report=f"report/{number}")
        elif kind == "drop":
            yield Drop(owner=owner, attempts=(Attempt(wave_folder("00002-aa"), str(bucket)),), reason="")
        else:
            yield Reset(owner=owner) if kind == "reset" else End(owner=owner)


@given(st.lists(ACTS, max_size=25))
def test_after_any_part_of_any_log_no_read_mixes_rounds(acts):
    state = State()
    last_change, gone = 0, set()
    for number, entry in enumerate(entries_of(acts), start=1):
        state.take(number, entry)
        if entry.owner == state.owner.owner and not isinstance(entry, (Open, End)):
            last_change = number
        rounds = [state.begins[step][0] for step in STEPS_IN_ROUNDS if step in state.begins]
        # A step's round is later than that of the step before it.
        assert rounds == sorted(rounds)
        for (step, _), each in state.tables.items():
            if step in STEPS_IN_ROUNDS:
                assert each.begin == state.begins[step][0]
        assert (state.finished is None) or state.finish_number == last_change
        counting = state.counting_folders()
        assert counting <= state.named
        assert counting.isdisjoint(gone)
        gone |= state.named - counting
        assert state.number == number


@given(st.lists(ACTS, max_size=25))
def test_those_who_have_lost_the_folder_change_nothing(acts):
    whole, without = State(), State()
    for number, entry in enumerate(entries_of(acts), start=1):
        whole.take(number, entry)
        if whole.owner.owner == entry.owner:
            without.take(number, entry)
    without.number = whole.number
    assert whole == without
