"""The folders of attempts, and which of them can never count again."""

from hypothesis import given
from hypothesis import strategies as st

from metaclip_spark.commits.attempts import attempt_name, garbage, lies_in_attempt, number_of
from metaclip_spark.commits.entries import FileWritten, Reset, Written
from metaclip_spark.commits.state import State
from tests.support.runs import archive_summary, opened, sample, wave


def test_no_two_attempts_have_one_name():
    names = {attempt_name(7) for _ in range(1000)}
    assert len(names) == 1000
    assert {number_of(name) for name in names} == {7}


def test_numbers_are_read_from_every_kind_of_folder():
    name = "00000012-0123abcd"
    for folder in (f"pool/bucket=001/{name}", f"extracted/wave={name}", f"curated-{name}", f"report/{name}", name):
        assert number_of(folder) == 12
        assert lies_in_attempt(f"{folder}/part-0.parquet")
    assert number_of("extracted/wave=00003-0123abcd") == 0
    assert not lies_in_attempt("extracted/wave=00003-0123abcd/kind=pair/part-0.parquet")
    for folder in ("pool/bucket=001", "curated", "entry_counts", "report/entries"):
        assert number_of(folder) is None
        assert not lies_in_attempt(f"{folder}/part-0.parquet")


FOLDERS = st.builds(
    lambda place, opened, nonce: f"{place}{opened:08d}-{nonce:08x}",
    st.sampled_from(["pool/bucket=000/", "curated-", "extracted/wave="]),
    st.integers(1, 6),
    st.integers(0, 5),
)


@given(st.sets(FOLDERS), st.data(), st.integers(1, 8))
def test_garbage_never_holds_what_counts_or_may_still_count(folders, data, opened_at):
    there = sorted(folders)
    named = data.draw(st.sets(st.sampled_from(there))) if there else set()
    counting = data.draw(st.sets(st.sampled_from(sorted(named)))) if named else set()
    found = garbage(there, counting=counting, named=named, opened=opened_at)
    assert counting.isdisjoint(found)
    for folder in found:
        assert folder in named or number_of(folder) < opened_at
    for folder in set(there) - set(found):
        assert folder in counting or number_of(folder) >= opened_at


def test_folders_without_a_number_stay_unless_the_log_has_named_them():
    folders = ["curated", "pool/mine", "entry_counts"]
    assert garbage(folders, counting=set(), named=set(), opened=9) == []
    assert garbage(folders, counting={"entry_counts"}, named={"curated", "entry_counts"}, opened=9) == ["curated"]


@given(st.lists(st.sampled_from(["wave", "sample", "other wave", "reset", "open"]), max_size=12))
def test_what_has_been_garbage_once_never_counts_again(kinds):
    """Whoever deletes it, and however late: the log is only ever continued."""
    state, gone = State(), set()
    owner = 0
    for number, kind in enumerate(["open", *kinds], start=1):
        if kind == "open":
            owner, entry = number, opened(str(number))
        elif kind == "reset":
            entry = Reset(owner=str(owner))
        else:
            folder = f"{'curated-' if kind == 'sample' else 'extracted/wave='}{owner:08d}-{number:08x}"
            if kind == "sample":
                entry = sample(str(owner), curated=Written(folder, (FileWritten("part-0", 1, 1),)))
            else:
                entry = wave("00000-aa", archive_summary(kind), owner=str(owner))
                entry = type(entry)(owner=entry.owner, wave=0, written=Written(folder, ()), archives=entry.archives)
        state.take(number, entry)
        assert gone.isdisjoint(state.counting_folders())
        gone.update(garbage(state.named, counting=state.counting_folders(), named=state.named, opened=state.opened))
