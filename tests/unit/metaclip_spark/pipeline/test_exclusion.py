"""The exclude step in a run: which pairs are counted and drawn, and what the run and its report say of the others."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark import open_run
from metaclip_spark.stores.storage import Storage
from tests.support.archive_files import http_response, warc_record
from tests.support.jobs import call, content, manifest_of, report_of, rows, run_json, state_of, written
from udfs.preferences import PREFERENCES

TEXTS = ("a dog", "a cat", "a dog and a cat", "a house", "nothing of these")
ENTRIES = ("dog", "cat", "house")
FEW = '["dog", "cat", "house"]'
pytestmark = pytest.mark.usefixtures("spark")


def pool_rows(preferences=range(64)):
    """Makes pairs whose pages ask for each combination of preferences."""
    return [
        {"url": f"https://example.org/{number}.jpg", "text": f"{TEXTS[number % 5]} {number}", "page_preferences": bits}
        for number, bits in enumerate(preferences)
    ]


def report_folder(output):
    """The folder of the report that counts."""
    return output / state_of(output).finished.report


def write_pool(folder, content):
    schema = pa.schema([("url", pa.string()), ("text", pa.string()), ("page_preferences", pa.int32())])
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(content, schema), folder / "0.parquet")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """What all runs of these tests share: a pool with declared preferences, and a short list."""
    folder = tmp_path_factory.mktemp("exclusion")
    write_pool(folder / "in", pool_rows())
    (folder / "few.json").write_text(FEW)
    return ("--pool", folder / "in", "--metadata", folder / "few.json", "--threshold-t", 3, "--buckets", 4)


@pytest.fixture(scope="module")
def plain(options, tmp_path_factory):
    output = tmp_path_factory.mktemp("plain") / "run"
    assert call("curate", *options, "--output", output) == 0
    return output


RESPECTED = ("tdm-reservation", "noai")
RULE = ("--respect-preferences", ",".join(RESPECTED))


@pytest.fixture(scope="module")
def ruled(options, tmp_path_factory):
    output = tmp_path_factory.mktemp("ruled") / "run"
    assert call("curate", *options, *RULE, "--output", output) == 0
    return output


def expected_reason(bits, respected):
    """Gives the reason of a pair, from the description alone."""
    named = [name for place, name in enumerate(PREFERENCES) if bits >> place & 1 and name in respected]
    return f"preference.{named[0]}" if named else None


def test_pairs_leave_for_the_first_preference_that_their_pages_declare(plain, ruled):
    output = ruled
    matched = {row["pair_id"]: expected_reason(row["page_preferences"], RESPECTED) for row in rows(plain, "matched")}
    reasons = {pair_id: reason for pair_id, reason in matched.items() if reason}
    assert {row["pair_id"]: row["reason"] for row in rows(output, "excluded")} == reasons
    assert {row["pair_id"] for row in rows(output, "eligible")} == matched.keys() - reasons.keys()
    assert {row["first_keep_probability"] for row in rows(output, "eligible")} == {None}
    counted = {row["entry_text"]: row["entry_count"] for row in rows(output, "entry_counts")}
    texts = [row["alt_text"] for row in rows(output, "eligible")]
    assert counted == {entry: sum(entry in text.split() for text in texts) for entry in ENTRIES}
    line = next(line for line in report_of(output)["funnel"] if line["out"] == "eligible")
    assert line["in_number"] == line["out_number"] + sum(line["reasons"].values()) == len(matched)
    assert set(line["reasons"]) == {"preference.noai", "preference.tdm-reservation"}
    dropped = {row.pair_id: row.reason for row in open_run(str(output)).dropped.collect()}
    assert reasons.items() <= dropped.items()
    assert dropped.keys() | {row["pair_id"] for row in rows(output, "curated")} == matched.keys()


def test_the_report_counts_what_pages_declare_before_the_rules(plain, ruled):
    told, without = ({row["group"]: row for row in report_of(run)["profile"]["preferences"]} for run in (ruled, plain))
    assert {name: row["matched"] for name, row in told.items()} == {
        name: row["matched"] for name, row in without.items()
    }
    assert [told[name]["curated"] for name in RESPECTED] == [0, 0]
    assert all(without[name]["curated"] for name in PREFERENCES)
    pages = ("TRAINING_CONTENT.md", "DATA_CARD.md")
    respected, ignored = ([(report_folder(run) / page).read_text() for page in pages] for run in (ruled, plain))
    assert "Respected: noai, tdm-reservation." in respected[0]
    assert "noai, tdm-reservation: pairs with them were left out." in respected[1]
    assert "None was respected" in ignored[0]


def test_pairs_leave_for_what_is_listed_before_what_their_pages_declare(options, ruled, tmp_path):
    output = shutil.copytree(ruled, tmp_path / "run")
    (tmp_path / "urls.txt").write_text("# removed on request\nhttp://EXAMPLE.org/1.jpg#x\nhttps://example.org/10.jpg\n")
    lists = ("--block-urls", tmp_path / "urls.txt")
    assert call("curate", *options, *RULE, *lists, "--resume", "--output", output) == 0
    reasons = {row["pair_id"]: row["reason"] for row in rows(output, "excluded")}
    listed = {row["pair_id"] for row in rows(output, "matched") if row["image_url"].endswith(("/1.jpg", "/10.jpg"))}
    before = {row["pair_id"]: row["reason"] for row in rows(ruled, "excluded")}
    assert len(listed) == 2
    assert reasons == before | dict.fromkeys(listed, "removed.url")
    digest = manifest_of(output, "exclude", 0)["config"]["lists"]
    (tmp_path / "again.txt").write_text("https://example.org/10.jpg\nhttps://example.org/1.jpg\n")
    again = ("--block-urls", tmp_path / "again.txt")
    assert call("curate", *options, *RULE, *again, "--resume", "--output", output) == 0
    assert manifest_of(output, "exclude", 0)["config"]["lists"] == digest
    assert state_of(output).begins["exclude"][0] < state_of(output).finish_number


def test_a_list_of_pages_is_compared_with_every_page_of_a_pair(tmp_path, capsys):
    pages = {"a": "https://first.org/a.html", "b": "https://second.org/b.html"}
    image = http_response(b'<img src="https://example.org/1.jpg" alt="a dog">')
    for name, url in pages.items():
        (tmp_path / f"{name}.warc").write_bytes(warc_record(image, uri=url))
    (tmp_path / "few.json").write_text(FEW)
    (tmp_path / "pages.txt").write_text("second.org\n")
    output = tmp_path / "run"
    inputs = ("--archives", tmp_path / "*.warc", "--metadata", tmp_path / "few.json", "--threshold-t", 3)
    lists = ("--block-page-domains", tmp_path / "pages.txt")
    assert call("curate", *inputs, *lists, "--output", output) == 3
    assert [row["reason"] for row in rows(output, "excluded")] == ["removed.page_domain"]
    assert [row["page_url"] for row in rows(output, "matched")] == [pages["a"]]
    assert call("curate", *inputs, *lists, "--page-rule", "surviving", "--resume", "--output", output) == 0
    assert rows(output, "excluded") == []
    shutil.rmtree(output / written(output, "extracted")[0].folder)
    capsys.readouterr()
    assert call("exclude_pairs", *lists, "--overwrite", "--output", output) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(
        f"error: lists of pages are compared with every page of a pair, of which {output}/extracted/ "
    )
    assert told.endswith(": restore them, or give --page-rule surviving")


@pytest.fixture
def tables(tmp_path):
    """Files of a download without hashes, of one with MD5, and of scores by SHA-256."""
    few = {"pair_id": ["0" * 32], "status": ["success"]}
    pq.write_table(pa.table(few), tmp_path / "plain.parquet")
    pq.write_table(pa.table({**few, "md5": ["0" * 32]}), tmp_path / "md5.parquet")
    pq.write_table(pa.table({"sha256": ["0" * 64], "nsfw": [0.1]}), tmp_path / "scores.parquet")
    (tmp_path / "images.txt").write_text("a" * 64)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "--block-images images.txt --downloaded plain.parquet",
            "--block-images needs hashes of images, and the files of --downloaded have none of sha256, sha512 and md5: "
            "run img2dataset with --compute_hash",
        ),
        ("--deduplicate-images text --downloaded plain.parquet", "--deduplicate-images needs hashes of images, and"),
        (
            "--block-images images.txt --downloaded md5.parquet",
            "images.txt: none of 1 value can be used: line 1 of TABLES/images.txt is no md5 of 32 digits, as "
            "--downloaded tells: ",
        ),
        (
            "--scores scores.parquet --keep-where a:nsfw<1 --downloaded md5.parquet",
            "--scores go by sha256, but --downloaded tells md5: give scores by pair_id or image_url, or that hash",
        ),
    ],
)
def test_hashes_that_nothing_tells_are_refused(plain, tables, given, told, capsys):
    options = [tables / word if word.endswith((".txt", ".parquet")) else word for word in given.split()]
    assert call("exclude_pairs", "--output", plain, *options) == 2
    assert told.replace("TABLES", str(tables)) in capsys.readouterr().err.splitlines()[-1]


def test_a_condition_that_is_never_true_is_told(plain, tmp_path, capsys):
    output = shutil.copytree(plain, tmp_path / "run")
    scores = [{"pair_id": row["pair_id"], "nsfw": 0.5} for row in rows(output, "matched")]
    pq.write_table(pa.Table.from_pylist(scores), tmp_path / "scores.parquet")
    rule = ("--scores", tmp_path / "scores.parquet", "--keep-where", "safe: nsfw < 0.2")
    capsys.readouterr()
    assert call("exclude_pairs", *rule, "--output", output) == 0
    told = capsys.readouterr().err
    assert f"--keep-where safe is true for none of {len(scores)} rows of --scores" in told
    assert {row["reason"] for row in rows(output, "excluded")} == {"filter.safe"}
    assert rows(output, "eligible") == []


def test_rules_that_exclude_every_pair_are_named_as_the_cause(options, plain, tmp_path, capsys):
    output = shutil.copytree(plain, tmp_path / "run")
    pairs = len(rows(output, "matched"))
    pq.write_table(pa.table({"pair_id": ["0" * 32], "nsfw": [0.1]}), tmp_path / "scores.parquet")
    rule = ("--scores", tmp_path / "scores.parquet", "--keep-where", "safe: nsfw < 0.2", "--resume")
    told = (
        f"rules exclude all {pairs} pairs, {pairs} by filter.safe (the scores do not fulfil the condition safe of "
        "--keep-where); a pair without a row in --scores leaves, too: check that they are of these pairs"
    )
    capsys.readouterr()
    size = [option if option != "--threshold-t" else "--target-pairs" for option in options]
    assert call("curate", *size, *rule, "--output", output) == 2
    *_, last = (lines := capsys.readouterr().err.splitlines())
    assert last == f"error: --target-pairs has nothing to choose t from: {told}"
    assert [line for line in lines if line.endswith(f"WARNING no pair is eligible: {told}")]
    assert call("curate", *options, *rule, "--output", output) == 3
    assert f"the curated set is empty: No pair is eligible: {told}." in capsys.readouterr().err
    assert report_of(output)["warnings"][0] == f"No pair is eligible: {told}."
    page = (report_folder(output) / "report.html").read_text()
    assert "No pair is left to balance." in page
    assert "No pair is left. There are no pairs to describe." in page


def test_what_was_downloaded_and_scored_decides_in_the_order_of_the_rules(options, plain, tmp_path, capsys):
    output = shutil.copytree(plain, tmp_path / "run")
    pairs = sorted(rows(output, "matched"), key=lambda row: row["pair_id"])
    ids = [row["pair_id"] for row in pairs]
    kinds = {pair: ("none", "failed", "same", "same", "own", "low", "unscored")[n % 7] for n, pair in enumerate(ids)}
    download = [
        {
            "url": row["image_url"],
            "status": "failed_to_download" if kinds[row["pair_id"]] == "failed" else "success",
            "error_message": "HTTP Error 404: Not Found" if kinds[row["pair_id"]] == "failed" else None,
            "sha256": "ab" * 32 if kinds[row["pair_id"]] == "same" else row["pair_id"] * 2,
        }
        for row in pairs
        if kinds[row["pair_id"]] != "none"
    ]
    pq.write_table(pa.Table.from_pylist(download), tmp_path / "00000.parquet")
    scores = [
        {"pair_id": pair, "nsfw": 0.9 if kinds[pair] == "low" else 0.1} for pair in ids if kinds[pair] != "unscored"
    ]
    pq.write_table(pa.Table.from_pylist(scores), tmp_path / "scores.parquet")
    rules = ("--downloaded", tmp_path / "00000.parquet", "--deduplicate-images", "image")
    rules += ("--scores", tmp_path / "scores.parquet", "--keep-where", "safe: nsfw < 0.2")
    assert call("curate", *options, *rules, "--resume", "--output", output) == 0
    first = min(pair for pair in ids if kinds[pair] == "same")
    of_kind = {"none": "image.not_attempted", "failed": "image.download_failed", "same": "image.duplicate"}
    of_kind |= {"low": "filter.safe", "unscored": "filter.safe"}
    expected = {pair: of_kind[kinds[pair]] for pair in ids if kinds[pair] in of_kind and pair != first}
    assert {row["pair_id"]: row["reason"] for row in rows(output, "excluded")} == expected
    assert {row["pair_id"] for row in rows(output, "eligible")} == set(ids) - expected.keys()
    numbers = manifest_of(output, "exclude", 0)["numbers"]
    failed = list(kinds.values()).count("failed")
    assert numbers["download_errors"] == {"http_404": failed}
    assert f"; no image: {failed} http_404), " in capsys.readouterr().err
    assert (numbers["download_rows"], numbers["download_unknown"]) == (len(download), 0)
    assert manifest_of(output, "exclude", 1)["numbers"]["download_rows"] == 0
    told = {"rows": len(download), "unknown": 0, "failed": [{"error": "http_404", "pairs": failed}]}
    assert report_of(output)["downloads"] == told
    page = (report_folder(output) / "report.html").read_text()
    assert f"<strong>{len(ids) - len(expected)}</strong><span>eligible pairs</span>" in page
    assert "Only eligible pairs are balanced: “matched” means these from here on." in page
    assert "Why images were not downloaded" in page
    assert "http_404" in page.partition("Why images were not downloaded")[2]


def test_without_a_rule_there_is_no_step_and_no_table(plain):
    state = state_of(plain)
    assert "exclude" not in state.begins
    assert "exclude" not in run_json(plain)["steps"]
    assert not (plain / "eligible").exists()
    assert state.tables["count", None].manifest["input"] == run_json(plain)["steps"]["match"]["digest"]


def test_rules_that_are_taken_back_leave_what_there_was_without_them(options, plain, ruled, tmp_path):
    output = shutil.copytree(ruled, tmp_path / "run")
    assert call("curate", *options, "--resume", "--output", output) == 0
    assert rows(output, "curated") == rows(plain, "curated")
    assert rows(output, "eligible") == []
    assert manifest_of(output, "exclude", 0)["numbers"]["reasons"] == {}
    assert "eligible" not in {line["out"] for line in report_of(output)["funnel"]}


def test_the_steps_one_by_one_give_what_curate_gives(options, plain, ruled, tmp_path):
    output = shutil.copytree(plain, tmp_path / "run")
    metadata, sample = options[2:4], options[4:6]
    assert call("exclude_pairs", *RULE, "--output", output) == 0
    assert call("count_entries", *metadata, "--output", output) == 0
    assert call("sample_pairs", *sample, "--resume", "--output", output) == 0
    assert call("report_curation", "--output", output) == 0
    assert content(output) == content(ruled)
    assert run_json(output)["steps"]["sample"]["digest"] == run_json(ruled)["steps"]["sample"]["digest"]


def test_explain_says_which_rule_excludes_a_pair(ruled, capsys):
    pair = next(row for row in rows(ruled, "excluded") if row["reason"] == "preference.noai")["pair_id"]
    capsys.readouterr()
    assert call("explain_pair", "--run", ruled, "--pair-id", pair) == 0
    told = capsys.readouterr().out
    assert "excluded by a rule: preference.noai (the page asks for no use by machine learning (noai))" in told
    assert call("explain_pair", "--run", ruled, "--entry", "dog", "--dropped") == 0
    assert "by the rule preference.noai" in capsys.readouterr().out


def test_preferences_that_were_not_read_want_a_decision(tmp_path, capsys):
    write_pool(tmp_path / "in", pool_rows([None, 0, 1, None, 0]))
    (tmp_path / "few.json").write_text(FEW)
    inputs = ("--pool", tmp_path / "in", "--metadata", tmp_path / "few.json", "--threshold-t", 3)
    options = (*inputs, "--output", tmp_path / "run", "--respect-preferences", "noai")
    assert call("curate", *options) == 2
    told = capsys.readouterr().err
    assert f"error: --respect-preferences: 2 matched pairs of {tmp_path}/run came from where" in told
    assert told.endswith("say by --unknown-preferences whether to keep or drop them\n")
    assert "exclude" not in state_of(tmp_path / "run").begins
    assert call("curate", *options, "--resume", "--unknown-preferences", "keep") == 0
    assert [row["reason"] for row in rows(tmp_path / "run", "excluded")] == ["preference.noai"]
    assert call("curate", *options, "--resume", "--unknown-preferences", "drop") == 0
    reasons = sorted(row["reason"] for row in rows(tmp_path / "run", "excluded"))
    assert reasons == ["preference.noai", "preference.unknown", "preference.unknown"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            ("--respect-preferences", "noia"),
            "--respect-preferences noia: there is no such preference; did you mean noai?",
        ),
        (("--page-rule", "surviving"), "--page-rule needs --block-pages or --block-page-domains"),
        (("--allow-public-suffix",), "--allow-public-suffix needs --block-domains or --block-page-domains"),
        (("--block-urls", "nowhere.txt"), "--block-urls nowhere.txt: no such file or folder"),
        (("--block-images", "a.txt"), "--block-images needs --downloaded, which tells the hashes of images"),
        (("--deduplicate-images", "text"), "--deduplicate-images needs --downloaded, which tells the hashes of images"),
        (("--keep-where", "safe: x < 1"), "--scores and --keep-where need each other: give both, or neither"),
        (("--unscored", "keep"), "--unscored needs --scores"),
        (("--respect-preferences", ","), "--respect-preferences names none: give some of noai,noimageai,"),
        (("--unknown-preferences", "keep"), "--unknown-preferences needs --respect-preferences"),
        (("--respect-preferences", "noai", "--unknown-preferences", "maybe"), "it must be one of keep, drop"),
    ],
)
def test_wrong_options_are_one_line(plain, wrong, told, capsys):
    assert call("exclude_pairs", "--output", plain, *wrong) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1]
    assert Storage(str(plain)).names("eligible") == []
