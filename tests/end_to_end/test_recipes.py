"""The recipes of the documentation work as they are written, on the sample."""

import pytest

from metaclip_spark.commands.main import main
from tests.support.doc_blocks import DOCS, blocks, commands_in
from tests.support.jobs import rows, run_json
from tests.support.paths import CHECKOUT

RECIPES = DOCS / "recipes"


def commands_of(name: str) -> list[list[str]]:
    """The arguments of each `metaclip-spark` on a page."""
    commands = commands_in("".join(blocks((RECIPES / f"{name}.md").read_text("utf-8"))))
    assert all(program == "metaclip-spark" for program, *_ in commands)
    return [arguments for _, *arguments in commands]


pytestmark = pytest.mark.usefixtures("spark")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "tests").symlink_to(CHECKOUT / "tests")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_parts_are_balanced_with_the_counts_of_the_whole(folder):
    for arguments in commands_of("parts-of-a-pool"):
        assert main(arguments) == 0, arguments
    parts = [folder / "parts" / name for name in "ab"]
    whole: dict[str, int] = {}
    for part in parts:
        for row in rows(part, "entry_counts"):
            whole[row["entry_text"]] = whole.get(row["entry_text"], 0) + row["entry_count"]
    for part in parts:
        assert {row["entry_text"]: row["entry_count"] for row in rows(part, "balance_counts")} == whole
        assert 0 < len(rows(part, "curated")) < len(rows(part, "matched"))


def test_a_pool_that_is_there_already_is_curated(folder):
    archives = "tests/data/sample/sample-00000.warc.gz"
    assert main(["extract", "--archives", archives, "--output", "demo-output"]) == 0
    for arguments in commands_of("own-pool"):
        assert main(arguments) == 0, arguments
    found = {row["alt_text"] for row in rows(folder / "own-pool", "pool")}
    assert found == {row["alt_text"] for row in rows(folder / "demo-output", "pool")}
    assert run_json(folder / "own-pool")
    assert len(rows(folder / "own-pool", "curated")) > 0
