"""What report, data card and public summary say of a run that began with the pairs of another one."""

from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.jobs import call, report_of, rows

pytestmark = pytest.mark.usefixtures("spark")

NOUNS = ("dog", "cat", "house")
T = 12


def pool_rows():
    """Makes pairs whose pages ask for each combination of preferences."""
    return [
        {"url": f"https://example.org/{n}.jpg", "text": f"a {NOUNS[n % 7 % 3]} {n}", "page_preferences": n % 64}
        for n in range(192)
    ]


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def line_to(output, stage):
    """The line of a run's funnel that ends in a stage."""
    return next(line for line in report_of(output)["funnel"] if line["out"] == stage)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run with rules, of which something was removed since."""
    folder = tmp_path_factory.mktemp("first")
    schema = pa.schema([("url", pa.string()), ("text", pa.string()), ("page_preferences", pa.int32())])
    pq.write_table(pa.Table.from_pylist(pool_rows(), schema), folder / "pool.parquet")
    (folder / "few.json").write_text('["dog", "cat", "house"]')
    blocked = write_lines(folder / "blocked.txt", [f"https://example.org/{n}.jpg" for n in (0, 4, 8)])
    rules = ("--respect-preferences", "noai", "--block-urls", blocked)
    options = ("--pool", folder / "pool.parquet", "--metadata", folder / "few.json", "--threshold-t", T, "--buckets", 2)
    output = folder / "run"
    assert call("curate", *options, *rules, "--output", output) == 0
    listed = write_lines(folder / "removed.txt", [row["image_url"] for row in rows(output, "curated")[:2]])
    removing = ("--urls", listed, "--mode", "drop", "--reason", "ticket 1")
    assert call("remove_pairs", *removing, "--output", output) == 0
    return output


@pytest.fixture(scope="module")
def second(first):
    """A run that began with its curated pairs, with other rules."""
    folder = first.parent
    blocked = write_lines(folder / "pairs.txt", [row["image_url"] for row in rows(first, "curated")[:3]])
    rules = ("--respect-preferences", "tdm-reservation", "--block-urls", blocked)
    again = ("--from-run", first, "--threshold-t", 6)
    assert call("rebalance_run", *again, *rules, "--output", folder / "second") == 0
    return folder / "second"


@pytest.fixture(scope="module")
def third(second):
    """A run that began with the curated pairs of that one."""
    output = second.parent / "third"
    assert call("rebalance_run", "--from-run", second, "--threshold-t", 3, "--output", output) == 0
    return output


def test_the_funnel_tells_each_draw_and_adds_up(first, second, third):
    for output in (first, second, third):
        funnel = report_of(output)["funnel"]
        for line in funnel:
            assert line["in_number"] == line["out_number"] + sum(line["reasons"].values())
        for before, after in pairwise(funnel[3:]):
            assert (before["out"], before["out_number"]) == (after["in"], after["in_number"])
    stages = ["matched", "first draw", "draw 2", "eligible", "curated"]
    assert [line["out"] for line in report_of(third)["funnel"]][4:] == stages
    assert line_to(third, "first draw") == line_to(second, "first draw")
    assert line_to(third, "draw 2")["reasons"].keys() >= {"removed.url", "not_drawn"}
