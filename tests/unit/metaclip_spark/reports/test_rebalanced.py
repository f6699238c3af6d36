"""What report, data card and public summary say of a run that began with the pairs of another one."""

from collections import Counter
from itertools import pairwise
from math import isqrt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.jobs import call, report_of, rows, state_of

pytestmark = pytest.mark.usefixtures("spark")

NOUNS = ("dog", "cat", "house")
T = 12


def image_url(n):
    """Spreads images over domains of 1, 3, 5, ... pairs, each with several hosts."""
    return f"https://I{n % 3}.site{isqrt(n)}.example/{n}.jpg"


def pool_rows():
    """Makes pairs whose pages ask for each combination of preferences, in some languages or in none."""
    return [
        {
            "url": image_url(n),
            "text": f"a {NOUNS[n % 7 % 3]} {n}",
            "page_language": f"xa{chr(97 + n // 8)}" if n % 8 == 5 else (None, "en", "de")[n % 3],
            "page_preferences": n % 64,
        }
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
    columns = dict.fromkeys(("url", "text", "page_language"), pa.string()) | {"page_preferences": pa.int32()}
    pq.write_table(pa.Table.from_pylist(pool_rows(), pa.schema(columns)), folder / "pool.parquet")
    (folder / "few.json").write_text('["dog", "cat", "house"]')
    blocked = write_lines(folder / "blocked.txt", [image_url(n) for n in (0, 4, 8)])
    rules = ("--respect-preferences", "noai", "--block-urls", blocked)
    (folder / "counts.json").write_text('{"dog": 90, "cat": 50, "house": 10}')
    options = ("--pool", folder / "pool.parquet", "--metadata", folder / "few.json", "--threshold-t", T, "--buckets", 2)
    options += ("--entry-counts", folder / "counts.json")
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
    alive = rows(first, "curated")
    columns = {"pair_id": [row["pair_id"] for row in alive], "status": ["success"] * len(alive)}
    columns["sha256"] = [2 * row["pair_id"] for row in alive]
    pq.write_table(pa.table(columns), folder / "downloaded.parquet")
    rules = ("--respect-preferences", "tdm-reservation", "--block-urls", blocked)
    rules += ("--downloaded", folder / "downloaded.parquet", "--deduplicate-images", "image")
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
    stages = ["matched", "first draw", "second draw", "eligible", "curated"]
    assert [line["out"] for line in report_of(third)["funnel"]][4:] == stages
    assert line_to(third, "first draw") == line_to(second, "first draw")
    assert line_to(third, "second draw")["reasons"].keys() >= {"removed.url", "not_drawn"}


def row_of(output, page, name):
    """The numbers of a row of a table of a page in Markdown."""
    [row] = [line for line in page_of(output, page).splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def page_of(output, page):
    return (output / state_of(output).finished.report / page).read_text()


def declared(pairs, bit):
    return sum(row["page_preferences"] >> bit & 1 for row in pairs)


NOAI, TDM = 0, 4


def test_preferences_are_counted_over_the_pairs_that_the_rules_have_judged(first, second, third):
    for output, judged in ((first, rows(first, "matched")), (second, rows(first, "curated")), (third, [])):
        told = {row["group"]: row for row in report_of(output)["profile"]["preferences"]}
        pairs = judged or rows(second, "curated")
        curated = rows(output, "curated")
        for name, bit in (("noai", NOAI), ("tdm-reservation", TDM)):
            assert (told[name]["matched"], told[name]["curated"]) == (declared(pairs, bit), declared(curated, bit))
            left = line_to(output, "eligible")["reasons"].get(f"preference.{name}", 0)
            assert left <= told[name]["matched"]
            shown = [f"{told[name]['matched']}", f"{told[name]['curated']}", f"{left or '–'}"]
            assert row_of(output, "TRAINING_CONTENT.md", name) == shown
            assert row_of(output, "DATA_CARD.md", name) == shown[:2]
    assert line_to(second, "eligible")["reasons"]["preference.tdm-reservation"] > 0
    assert "| preference | pairs of the first draw | curated pairs |" in page_of(second, "DATA_CARD.md")
    assert "Pairs of the second draw that were found in a page" in page_of(third, "report.html")


def test_what_the_first_runs_respected_and_removed_is_told(first, second, third):
    noai = line_to(first, "eligible")["reasons"]["preference.noai"]
    tdm = line_to(second, "eligible")["reasons"]["preference.tdm-reservation"]
    assert "Respected: noai. Pairs with" in page_of(first, "TRAINING_CONTENT.md")
    for output in (second, third):
        assert "Respected: noai, tdm-reservation. Pairs with" in page_of(output, "TRAINING_CONTENT.md")
        assert "noai, tdm-reservation: pairs with them were left out." in page_of(output, "DATA_CARD.md")
    assert f"had left out {noai} matched pairs for noai; the" in page_of(second, "TRAINING_CONTENT.md")
    assert f"had left out {noai} matched pairs for noai, {tdm} matched pairs for tdm-reservation; the" in page_of(
        third, "TRAINING_CONTENT.md"
    )
    removed = Counter()
    for line in report_of(third)["funnel"]:
        removed.update({name: number for name, number in line["reasons"].items() if name.startswith("removed.")})
    assert set(removed) == {"removed.url", "removed.since_balance"}
    assert f"left {sum(removed.values())} matched pairs out" in page_of(third, "TRAINING_CONTENT.md")
    told = "Removal requests: 1, of 2 values; they took 2 pairs out of curated sets."
    assert f"{told}\n" in page_of(first, "TRAINING_CONTENT.md")
    assert f"{told} 1 of them was registered in runs that this one began with." in page_of(third, "TRAINING_CONTENT.md")


def test_where_removals_looked_at_curated_pairs_alone_no_number_of_matched_ones_is_told(first, third):
    assert report_of(first)["removals"][0]["matched"] is None
    told = "1 removal was registered{}, of 2 values, which named 2 curated pairs then. What was"
    assert told.format("") in page_of(first, "DATA_CARD.md")
    assert told.format(" here or in the runs that this one began with") in page_of(third, "DATA_CARD.md")
    table = page_of(first, "report.html").partition("What was removed for ever")[2]
    assert "not counted" in table.partition("</table>")[0]
    assert "The runs that this one began with had 1 removal, of 2 values" in page_of(third, "report.html")


def test_where_equal_images_decide_over_attempted_pairs_alone_the_bias_is_told(first, second, third):
    told = "--deduplicate-images finds duplicates among the attempted pairs alone"
    warned = [any(line.startswith(told) for line in report_of(output)["warnings"]) for output in (first, second, third)]
    assert warned == [False, True, False]


def test_given_counts_of_a_draw_before_are_told(first, second, third):
    told = "entry counts of a draw before: those of --entry-counts, where the counts here are estimates"
    for output in (second, third):
        assert [line for line in report_of(output)["deviations_from_the_paper"] if line.startswith(told)]
    assert not [line for line in report_of(first)["deviations_from_the_paper"] if line.startswith(told)]


NAMED = "named by lists or removals"


def told_of(groups, reasons):
    """Counts pairs as a row of the report does, from the group and the reason of each."""
    judged, left = Counter(groups.values()), Counter(group for pair, group in groups.items() if pair not in reasons)
    of_reason = Counter((groups[pair], reason) for pair, reason in reasons.items())
    return {
        group: (number, left[group], {reason: n for (of, reason), n in of_reason.items() if of == group})
        for group, number in judged.items()
    }


def added(rows):
    """Adds such rows up."""
    reasons = Counter()
    for _, _, of_row in rows:
        reasons.update(of_row)
    return sum(row[0] for row in rows), sum(row[1] for row in rows), dict(reasons)


def shown(survival, name):
    """The rows of a list of the report, by their groups."""
    found = {row["group"]: (row["judged"], row["left"], row["reasons"]) for row in survival[name]}
    assert len(found) == len(survival[name])
    assert all(judged == left + sum(reasons.values()) for judged, left, reasons in found.values())
    return found


@pytest.mark.parametrize("which", ["first", "second"])
def test_what_the_rules_have_left_is_told_by_language_domain_and_entries(which, request):
    output = request.getfixturevalue(which)
    before = request.getfixturevalue("first")
    pairs = {row["pair_id"]: row for row in rows(before, "matched" if which == "first" else "curated")}
    excluded = {row["pair_id"]: row for row in rows(output, "excluded")}
    reasons = {pair: row["reason"] for pair, row in excluded.items()}
    named = {pair for pair, reason in reasons.items() if reason.startswith("removed.")}
    survival = report_of(output)["survival"]

    languages = told_of({pair: row["page_language"] or "not declared" for pair, row in pairs.items()}, reasons)
    order = sorted(languages, key=lambda name: (-languages[name][0], name == "not declared", name))
    expected = {name: languages[name] for name in order[:20]}
    others = added([languages[name] for name in order[20:]])
    assert shown(survival, "languages") == expected | ({"other languages": others} if others[0] else {})
    assert [row["group"] for row in survival["languages"][:20]] == order[:20]
    assert bool(others[0]) == (which == "first")

    hosts = {pair: row["image_url"].split("/")[2].lower() for pair, row in pairs.items()}
    domains = {pair: NAMED if pair in named else host.partition(".")[2] for pair, host in hosts.items()}
    of_domain = told_of(domains, reasons)
    by_list = {NAMED: of_domain.pop(NAMED)}
    order = sorted(of_domain, key=lambda name: (-of_domain[name][0], name))
    sizes = {}
    for name in order[10:]:
        digits = len(str(of_domain[name][0]))
        sizes.setdefault(f"other domains of {10 ** (digits - 1)} to {10**digits - 1} pairs", []).append(of_domain[name])
    classes = {name: added(each) for name, each in sizes.items()}
    assert shown(survival, "domains") == {name: of_domain[name] for name in order[:10]} | classes | by_list
    assert {row["group"]: row["domains"] for row in survival["domains"] if "domains" in row} == {
        name: len(each) for name, each in sizes.items()
    }

    counts = {row["entry_id"]: row["entry_count"] for row in rows(output, "entry_counts")}
    counts = {row["entry_id"]: row["entry_count"] for row in rows(output, "balance_counts")} or counts
    threshold = report_of(output)["threshold_t"]
    words = ("with an entry that has at most t pairs", "with entries above t only")
    kinds = {pair: words[min(counts[entry] for entry in row["entry_ids"]) > threshold] for pair, row in pairs.items()}
    assert shown(survival, "entries") == told_of(kinds | dict.fromkeys(named, NAMED), reasons)

    line = line_to(output, "eligible")
    for name in survival:
        whole = added(shown(survival, name).values())
        assert whole == (line["in_number"], line["out_number"], line["reasons"])
    for pair, row in excluded.items():
        told = (None, None) if pair in named else (hosts[pair], pairs[pair]["entry_ids"])
        assert (row["image_host"], row["entry_ids"], row["page_language"]) == (*told, pairs[pair]["page_language"])


def test_pages_tell_what_the_rules_have_left(first, second, third):
    assert [each in report_of(first)["survival"] for each in ("languages", "domains", "entries")] == [True] * 3
    assert "survival" not in report_of(third)
    assert "What the rules have left" not in page_of(third, "report.html")
    row = next(row for row in report_of(second)["survival"]["languages"] if row["group"] == "en")
    assert row_of(second, "DATA_CARD.md", "`en`")[:2] == [f"{row['judged']:,}", f"{row['left']:,}"]
    table = page_of(second, "report.html").partition('id="survival-languages"')[2].partition("</table>")[0]
    assert f'data-label="left">{row["left"]:,}</td>' in table
