"""Checks of what a store holds of a run. Used by the tests."""

from metaclip_spark.commits.attempts import number_of
from metaclip_spark.commits.state import State
from metaclip_spark.stores.storage import Storage
from tests.support.jobs import TABLES, Output, state_of, written


def check_whole(output: Output) -> State:
    """Checks that every file that counts is there as it was written; gives what counts."""
    there = Storage(str(output)).data_files("")
    for part in (part for table in ("extracted", *TABLES) for part in written(output, table)):
        assert part.sizes.items() <= there.items(), part
    return state_of(output)


def attempts_in(output: Output) -> set[str]:
    """Lists the folders of attempts that hold files, whether they count or not."""
    parents = {file.rpartition("/")[0] for file in Storage(str(output)).files("")}
    parts = (folder.split("/") for folder in parents)
    return {
        "/".join(folders[: place + 1]) for folders in parts for place, name in enumerate(folders) if number_of(name)
    }
