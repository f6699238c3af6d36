"""Wrong commands that newcomers type: exit code 2 and exactly one line, before Spark starts and anything is written."""

import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.commands.main import main
from tests.support.jobs import CHECKOUT, SAMPLE

ARCHIVE = SAMPLE / "sample-00000.warc.gz"
RUN = "curate --archives some.warc.gz --metadata list.txt --output out"
WITHOUT_ARCHIVES = "curate --metadata list.txt --output out --threshold-t 20"
WITHOUT_METADATA = "curate --archives some.warc.gz --output out --threshold-t 20"
WITHOUT_OUTPUT = "curate --archives some.warc.gz --metadata list.txt --threshold-t 20"
EXACTLY_ONE_T = "give exactly one of --threshold-t, --tail-share and --target-pairs"
FILES = {
    "list.txt": b"dog\ncat\n",
    "empty.txt": b"",
    "blank.txt": b"dog\ncat\n\n",
    "broken.json": b'["a", ',
    "meta.csv": b"entry,count\ndog,3\ncat,2\n",
    "report.png": b"\x89PNG\r\n\x1a\n\xff",
    "counts.json": b'{"zebra": 3}',
    "key.yaml": b"archives: some.warc.gz\nsede: 2\n",
    "tabs.yaml": b"output: out\n\tseed: 1\n",
    "full/readme.md": b"mine",
    "a-file": b"",
}
BLANK = (
    "1 of 3 entries is empty or white space only: id 2 (''); metaclip-spark lint-metadata blank.txt --fix clean.json "
    "writes the list without it"
)
COMMANDS = {
    f"{RUN} --treshold-t 20": "--treshold-t: there is no such option; did you mean --threshold-t? (see --help)",
    "curat": "metaclip-spark has no verb 'curat': did you mean curate?",
    f"{WITHOUT_METADATA} --metadata nope.json": "--metadata nope.json: no such file",
    f"{WITHOUT_ARCHIVES} --archives nope.warc.gz": "--archives nope.warc.gz: no such file or folder",
    f"{WITHOUT_ARCHIVES} --archives *.nope": "--archives *.nope matches no file: check the pattern",
    f"{WITHOUT_ARCHIVES} --archives empty": (
        "--archives empty holds no file that ends with one of .warc, .warc.gz, .warc.zst, .wat, .wat.gz, .wat.zst, "
        ".arc, .arc.gz, .arc.zst"
    ),
    f"{RUN} --threshold-t 0": "--threshold-t must be a whole number, 1 or more, or inf (got 0)",
    f"{RUN} --threshold-t abc": "--threshold-t must be a whole number, 1 or more, or inf (got 'abc')",
    f"{RUN} --threshold-t 20 --tail-share 0.06": EXACTLY_ONE_T,
    RUN: EXACTLY_ONE_T,
    f"{RUN} --tail-share 6%": "--tail-share is '6%': it must be a number between 0 and 1 (see --help)",
    f"{WITHOUT_ARCHIVES} --archives some.warc.gz --crawl CC-MAIN-2024-10": (
        "give exactly one of --archives, --pool and --crawl"
    ),
    f"{RUN} --threshold-t 20 --resume --overwrite": (
        "--resume keeps the output and --overwrite deletes it: give one of them"
    ),
    f"{WITHOUT_OUTPUT} --output run": (
        "--output {folder}/run holds a run: --resume goes on with it, --overwrite deletes it first"
    ),
    f"{WITHOUT_OUTPUT} --output a-file": "--output {folder}/a-file is a file: give a folder",
    f"{WITHOUT_OUTPUT} --output full --overwrite": (
        "--output {folder}/full holds readme.md, which no run wrote: give another folder"
    ),
    f"{RUN} --threshold-t 20 --preset english": "--preset is 'english': it must be metaclip-english (see --help)",
    f"{RUN} --threshold-t 20 --engine regex": (
        "--engine is 'regex': it must be one of token, pyahocorasick (see --help)"
    ),
    f"{RUN} --threshold-t 20 --log-format xml": "--log-format is 'xml': it must be one of text, json (see --help)",
    f"{RUN} --threshold-t 20 --seed -1": "--seed is -1: it must be an integer from 0 to 2^64 - 1 (see --help)",
    f"{RUN} --threshold-t 20 --languages eng": "--languages eng: fastText knows no such language; did you mean en?",
    f"{RUN} --threshold-t 20 --languages xx": (
        "--languages xx: fastText knows no such language; give its codes, such as en,de"
    ),
    f"{RUN} --threshold-t 20 --languages english": (
        "--languages english: fastText knows no such language; did you mean en?"
    ),
    f"{RUN} --threshold-t 20 --entry-counts counts.json": (
        "--entry-counts counts.json holds counts of another metadata list: 1 entry is not in the list, such as "
        "'zebra'; give counts of this list"
    ),
    f"{WITHOUT_METADATA} --metadata empty.txt": "--metadata empty.txt has no entries",
    f"{WITHOUT_METADATA} --metadata broken.json": (
        "--metadata broken.json is not valid JSON: Expecting value: line 1 column 7 (char 6); plain text must be named "
        ".txt"
    ),
    f"{WITHOUT_METADATA} --metadata meta.csv": (
        "--metadata meta.csv: looks like CSV (every line has a comma; 3 of 3 entries can never match); give a list "
        "with one entry a line"
    ),
    f"{WITHOUT_METADATA} --metadata some.warc.gz": (
        "--metadata some.warc.gz is a WARC archive, not a list of entries; are --archives and --metadata swapped?"
    ),
    f"{WITHOUT_METADATA} --metadata report.png": "--metadata report.png is a PNG image, not a list of entries",
    f"{WITHOUT_METADATA} --metadata blank.txt": f"--metadata blank.txt: {BLANK}",
    f"{WITHOUT_ARCHIVES} --pool pool.parquet": (
        "--pool: 1 of 1 file cannot be used: {folder}/pool.parquet (no column text; it has url, caption). Name the "
        "columns with --url-column and --text-column, or leave those files out"
    ),
    f"{WITHOUT_ARCHIVES} --archives s3://bucket/x.warc.gz": (
        "--archives s3://bucket/x.warc.gz: no usable AWS credentials (Unable to locate credentials): give this machine "
        "a role or credentials, or use --s3-access anonymous for public buckets"
    ),
    "curate --config nope.yaml": "--config nope.yaml: no such file",
    f"{WITHOUT_ARCHIVES} --config key.yaml": "--config key.yaml, line 2: no option is called sede; did you mean seed?",
    "curate --config tabs.yaml": "--config tabs.yaml, line 2: tabs are not allowed in YAML: use spaces",
    "diff-metadata blank.txt list.txt": f"--old blank.txt: {BLANK}",
    "diff-metadata list.txt": "--new must be given (see --help)",
    "lint-metadata nope.txt": "--metadata nope.txt: no such file",
    "lint-metadata list.txt more.txt": "'more.txt' belongs to no option (see --help)",
    "plan --run nowhere": "--run {folder}/nowhere is not a run: give the folder that was a run's --output",
    "explain --run nowhere --text a": "--run {folder}/nowhere is not a run: give the folder that was a run's --output",
    "report --output nowhere": (
        "--output {folder}/nowhere holds no run: make one with curate or extract, or check the path"
    ),
}
"""Command to its line; each is refused although there is no Java."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    shutil.copy(ARCHIVE, tmp_path / "some.warc.gz")
    shutil.copytree(CHECKOUT / "tests/data/stored_run/finished", tmp_path / "run")
    pq.write_table(pa.table({"url": ["u"], "caption": ["t"]}), tmp_path / "pool.parquet")
    monkeypatch.chdir(tmp_path)
    for name in ("JAVA_HOME", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_command_is_one_line_that_says_what_to_do(folder, capsys, command):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(command.split()) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"error: {COMMANDS[command].format(folder=folder)}\n")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_start_without_java_does_not_stand_in_the_way_of_the_next(folder):
    command = [sys.executable, "-m", "metaclip_spark", *RUN.split(), "--threshold-t", "20"]
    environment = {**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(CHECKOUT)}
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        line = "error: no Java found: install Java 17 or newer and set JAVA_HOME to its folder\n"
        assert done.stderr == line
    assert not (folder / "out").exists()
