"""The documentation says what is there: links, options, exit codes, columns, reasons, modules, figures."""

import ast
import doctest
import importlib.util
import re
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from metaclip_spark.clip_benchmark.settings.training_config import TrainingConfig
from metaclip_spark.config.fields import option_of
from metaclip_spark.reports.pages.reasons import REASONS, STEP_REASONS
from udfs.preferences import PREFERENCES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
LONGEST_README = 150
ADDED_TO_THE_SITE = {"assets/report.png", "assets/terminal.png", "assets/benchmarks.svg"}

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
_REASON = re.compile(r"(?:archive|record|image|text)\.[a-z_]+[a-z]")
_OWN_PATH = re.compile(r"(?:metaclip_spark|udfs|jobs|tests|notebooks|deploy|docs|\.ci)/[\w./*-]*")


def _load_generator():
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / ".ci" / "docs_pages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


docs_pages = _load_generator()


def named(page):
    return page.relative_to(ROOT).as_posix()


def anchors_of(text):
    """Headings as Python-Markdown turns them into anchors."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def test_the_readme_can_be_read_in_three_minutes():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_to_a_file(page):
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in target or (DOCS in page.parents and path.removeprefix("../") in ADDED_TO_THE_SITE):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{named(page)} links to {target}"
        if anchor:
            assert anchor in anchors_of(file.read_text("utf-8")), f"{named(page)} links to {target}"


def test_every_page_of_docs_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    listed = set(re.findall(r": (\S+\.md)$", config, re.MULTILINE))
    assert {page for page in pages if not page.startswith("decisions/")} == listed


OTHER_OPTIONS = {
    *("--config", "--print-config", "--help", "--version"),  # of every command
    *(
        "--conf",
        "--deploy-mode",
        "--driver-memory",
        "--jars",
        "--master",
        "--packages",
        "--properties-file",
        "--py-files",
    ),
    *("--cluster", "--container-image", "--image-version", "--initialization-actions", "--properties", "--region"),
    "--properties-file",
    "--build-arg",
    *("--standalone", "--nproc-per-node"),  # torchrun
    *("--json-text-key", "--json-text-key-probs"),  # open_clip
}
"""Options of every command, and of programs that the pages use."""


def options_of_the_benchmarks():
    scripts = [path.read_text("utf-8") for path in docs_pages.BENCHMARKS.glob("*.py")]
    return {option for script in scripts for option in re.findall(r'"(--[a-z][a-z-]*)"', script)}


def options_of_training():
    """Those of the program that trains, which is no command of the console."""
    return {option_of(field.name) for field in fields(TrainingConfig)}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_option_named_exists(page):
    known = {*docs_pages.options(), *options_of_training(), *OTHER_OPTIONS, *options_of_the_benchmarks()}
    text = re.sub(r"img2dataset (?:.*\\\n)*.*", "", page.read_text("utf-8"))
    unknown = {option for option in _OPTION.findall(text) if option not in known}
    assert not unknown, f"{named(page)} names options that no job has"


def test_the_configuration_page_shows_every_option_once():
    text = docs_pages.fill_in((DOCS / "configuration.md").read_text("utf-8"))
    shown = re.findall(r"^\| `(--[a-z0-9-]+)`", text, re.MULTILINE)
    assert set(shown) == set(docs_pages.options())
    assert shown.count("--threshold-t") == shown.count("--archives") == shown.count("--resume") == 1


def test_options_that_change_the_result_are_told_from_the_others():
    text = docs_pages.fill_in((DOCS / "configuration.md").read_text("utf-8"))
    changing, operational = text.split("## Operational options")
    assert "`--threshold-t`" in changing and "`--max-page-bytes`" in changing
    told_by_themselves = ("`--preference-agent`", "`--language-column`", "`--word-borders`", "`--min-language-pairs`")
    assert all(option in changing and option not in operational for option in told_by_themselves)
    assert "`--threshold-t`" not in operational.split("## Other commands")[0]
    assert "`--archives-per-wave`" in operational and "`--archives-per-wave`" not in changing


def test_every_job_has_its_place_in_the_table_of_commands():
    table = docs_pages.commands_table("")
    for job in (ROOT / "jobs").glob("*.py"):
        assert f"`jobs/{job.name}`" in table


def test_every_exit_code_is_explained():
    from metaclip_spark.config import job

    codes = {value for name, value in vars(job).items() if name.startswith("EXIT_")}
    shown = re.findall(r"^\| (\d+) \|", docs_pages.exit_codes(""), re.MULTILINE)
    assert {int(code) for code in codes} == {int(code) for code in shown} == {0, 1, 2, 3, 130, 143}


def test_every_column_has_a_meaning_and_no_other_has():
    columns = {name for table in docs_pages.TABLES for name in docs_pages.table_schema(table).names}
    assert columns == set(docs_pages.COLUMNS)
    assert tuple(docs_pages.PREFERENCES) == PREFERENCES


def test_every_reason_in_the_code_is_explained():
    found = set()
    for file in (ROOT / "udfs").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REASON.fullmatch(node.value):
                found.add(node.value)
    wikipedia = {"text.parse_math"}
    assert found - wikipedia - set(REASONS) == set()


def test_every_reason_of_the_steps_is_in_the_outputs():
    shown = docs_pages.fill_in((DOCS / "outputs.md").read_text("utf-8"))
    for reason in (*STEP_REASONS, "filter.NAME"):
        assert re.search(rf"^\| [a-z]+ \| `{re.escape(reason)}` \| .", shown, re.MULTILINE), reason


def strings_of_the_code():
    """All literal texts of the packages and the scripts, with a NUL where a value stands."""
    texts = []
    for package in ("udfs", "metaclip_spark", "jobs"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append("\0".join(part.value for part in node.values if isinstance(part, ast.Constant)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\0\0".join(texts)


OF_OTHERS = ("No space left",)
"""Beginnings of messages that Python, Java and the option parser write."""


def test_every_message_of_the_troubleshooting_page_is_one_of_the_code():
    code = strings_of_the_code()
    rows = re.findall(r"^\| (.*?) \|", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    messages = [message for row in rows for message in _CODE.findall(row) if not message.startswith(OF_OTHERS)]
    assert len(messages) > 50
    for message in messages:
        # Words in capitals, and dots, stand for what varies.
        pieces = re.split(r"\b[A-Z]+\b(?![-'])(?:[-/%](?=\W))?|\.\.\.|[%()']", message.replace("S3A's", "\1"))
        longest = max((piece.strip(" :,-/[]'").replace("\1", "S3A's") for piece in pieces), key=len)
        assert longest in code, f"no message of the code has {longest!r} (of {message!r})"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_of_the_repository_named_exists(page):
    if page.name == "CHANGELOG.md":
        return  # of versions that are gone
    named_paths = {
        path.rstrip(".,") for code in _CODE.findall(page.read_text("utf-8")) for path in _OWN_PATH.findall(code)
    }
    missing = {path for path in named_paths if "*" not in path and not (ROOT / path).exists()}
    assert not missing, f"{named(page)} names what is not there"


def test_every_folder_of_the_packages_is_in_the_tree_of_contributing_and_in_the_architecture():
    folders = {
        f"{folder.relative_to(ROOT).as_posix()}/"
        for package in ("udfs", "metaclip_spark")
        for folder in (ROOT / package).iterdir()
        if (folder / "__init__.py").exists()
    }
    for page in (ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"):
        text = page.read_text("utf-8")
        assert not {folder for folder in folders if f"`{folder}`" not in text}, f"{named(page)} lacks folders"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_generated_part_can_be_made(page):
    text = page.read_text("utf-8")
    for name, argument in docs_pages.asked_for(text):
        assert docs_pages.GENERATED[name](argument).strip() or name == "decisions"
    assert "<!-- generated" not in docs_pages.fill_in(text)


def test_the_readme_has_the_figures_of_the_benchmarks_as_they_are_stored():
    table = docs_pages.GENERATED["benchmarks"]("readme")
    assert len(table.splitlines()) == 7
    assert table in (ROOT / "README.md").read_text("utf-8")


def test_the_readme_has_the_lines_of_the_clip_benchmark_as_they_are_stored():
    pages, readme = docs_pages.clip_pages, (ROOT / "README.md").read_text("utf-8")
    assert 0 < readme.index(pages.FIRST) < readme.index(pages.LAST)
    stored = ROOT / pages.FIGURES
    if stored.exists():
        assert pages.with_lines(readme, pages.part("readme")) == readme
    published = docs_pages.GENERATED["clip-benchmark"]("published").splitlines()[2:]
    assert [line.split(" | ")[0] for line in published] == ["| ViT-B/32", "| ResNet-50"]
    assert "| 37.2 | 28.5 | 21.3 | 44.4 | – |" in published[1]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_in_python_use_what_is_exported(page):
    import metaclip_spark

    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        prompted = [line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))]
        for node in ast.walk(ast.parse("\n".join(prompted) if prompted else block)):
            if isinstance(node, ast.ImportFrom) and node.module == "metaclip_spark":
                assert not {name.name for name in node.names}.difference(metaclip_spark.__all__)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_with_a_result_give_it(page):
    assert doctest.testfile(str(page), module_relative=False, encoding="utf-8").failed == 0


def test_the_api_page_has_examples_with_a_result():
    assert doctest.testfile(str(DOCS / "api.md"), module_relative=False, encoding="utf-8").attempted >= 4


@pytest.fixture(scope="module")
def sample():
    """The sample's pairs and entries, found without Spark."""
    from metaclip_spark import Damage, Matcher, Metadata, pairs_from_record, read_archive

    found = []
    for path in sorted((ROOT / "tests/data/sample").glob("*.warc.gz")):
        for record in read_archive(path):
            if not isinstance(record, Damage):
                try:
                    found += pairs_from_record(record)
                except ValueError:
                    continue  # a record without a page
    metadata = Metadata.load(ROOT / "tests/data/wordnet_lemmas.txt.gz")
    pool = {pair.pair_id: pair.alt_text for pair in found}
    ids = [each for each in Matcher(metadata).ids(pa.array(list(pool.values()))).to_pylist() if each]
    counts = np.bincount(np.concatenate(ids), minlength=len(metadata))
    return len(found), len(pool), ids, counts


def test_the_funnel_of_the_quickstart_is_the_samples(sample):
    found, pool, ids, _ = sample
    text = (DOCS / "quickstart.md").read_text("utf-8")
    for number in (found, pool, found - pool, len(ids), pool - len(ids)):
        assert f"{number:,}" in text


def test_the_table_of_thresholds_is_the_samples(sample):
    _, _, ids, counts = sample
    lines = re.findall(
        r"^ +(\d+) +([\d,.]+) +([\d.]+) +([\d.]+)% +(\d+)", (DOCS / "choose-t.md").read_text("utf-8"), re.M
    )
    assert [line[0] for line in lines] == ["1", "5", "20"]
    for t, size, error, share, cut in lines:
        drawn = np.minimum(1, int(t) / np.maximum(counts, 1))
        keep = np.array([1 - np.prod(1 - drawn[each]) for each in ids])
        assert size == f"{keep.sum():,.1f}"
        assert error == f"{np.sqrt((keep * (1 - keep)).sum()):.1f}"
        assert share == f"{counts[counts < int(t)].sum() / counts.sum():.2%}".removesuffix("%")
        assert int(cut) == (counts > int(t)).sum()
