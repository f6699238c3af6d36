"""The console script `metaclip-spark VERB`, the scripts in jobs/ beside it, and what their help costs."""

import ast
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from metaclip_spark import __version__
from metaclip_spark.clip_benchmark.settings.grid_config import GridConfig
from metaclip_spark.commands import clip_benchmark
from metaclip_spark.commands.main import VERBS, main
from metaclip_spark.commands.show import next_command
from tests.support.jobs import CHECKOUT, load

HEAVY = (
    *("numba", "llvmlite", "pyspark", "py4j", "ahocorasick", "matplotlib", "torch", "PIL", "boto3"),
    *("botocore", "numpy", "pandas", "pyarrow", "rich", "urllib3"),
)
"""What takes longer to import than a command's options take to be read."""
JOBS = sorted((CHECKOUT / "jobs").glob("*.py"))
ASK_FOR_HELP = """
import json, runpy, sys
from metaclip_spark.commands.main import VERBS, main
scripts = sys.argv[1:]
for script in scripts:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        assert stop.code == 0, script
main(["--help"])
sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def python(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_help_of_every_job_loads_neither_spark_nor_numba():
    done = python("-c", ASK_FOR_HELP, *JOBS)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("usage: ") == len(JOBS) + 1
    loaded = json.loads(done.stderr)
    assert "metaclip_spark.commands.curation" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize("verb", VERBS)
def test_the_next_command_has_the_form_in_which_this_one_was_typed(verb, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["jobs/curate.py"])
    python, script, option = next_command(verb, "--yes").split()
    assert (python, option) == ("python", "--yes")
    assert CHECKOUT / script in JOBS
    assert VERBS[verb].work.__name__ == Path(script).stem
    monkeypatch.setattr(sys, "argv", ["/bin/metaclip-spark"])
    assert next_command(verb, "--yes") == f"metaclip-spark {verb} --yes"


def test_every_job_without_the_environment_says_what_to_do():
    bodies = {job.read_text("utf-8").partition("except ModuleNotFoundError")[2] for job in JOBS}
    assert len(bodies) == 1
    # Isolated and without site-packages, as another Python is.
    done = python("-I", "-S", JOBS[0])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: metaclip-spark is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
    )


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("numpy", "numpy"),
        ("jsonargparse.typing", "jsonargparse"),
        ("metaclip_spark.nowhere", None),
        ("udfs.gone", None),
    ],
)
def test_a_package_that_is_missing_while_ours_is_imported_is_one_line(monkeypatch, capsys, missing, told):
    class Finder:
        def find_spec(self, name, *_rest):
            if name == "metaclip_spark.commands.curation":
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.delitem(sys.modules, "metaclip_spark.commands.curation", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(SystemExit if told else ModuleNotFoundError) as stop:
        runpy.run_path(str(CHECKOUT / "jobs" / "curate.py"))
    if told:
        assert stop.value.code == 2
        assert capsys.readouterr().err == (
            f"error: {told} is not installed for {sys.executable}: activate .venv or pip install '.[spark]'\n"
        )


def test_a_long_command_gives_signs_of_life_and_its_exit_code():
    script = CHECKOUT / ".ci" / "with_signs_of_life"
    done = subprocess.run(
        [script, "sh", "-c", "sleep 1.5; exit 3"], env={**os.environ, "METACLIP_SECONDS_BETWEEN_SIGNS": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout.startswith("... still at work, 1 s\n")


def test_make_demo_says_what_it_does_and_how_to_go_on(tmp_path):
    told = subprocess.run(
        ["make", "--dry-run", "demo", f"VENV={tmp_path / 'new'}"],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    said = [line for line in told.splitlines() if line.startswith("echo ")]
    assert "Making a Python environment" in said[0]
    assert "a minute or so" in said[1]
    assert f". {tmp_path / 'new'}/bin/activate" in told.partition("To go on:")[2]


def test_the_help_lists_every_verb_in_one_line(capsys):
    assert main(["--help"]) == main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb, job in VERBS.items():
        assert sum(line.startswith(f"  {verb} ") and line.endswith(job.description) for line in lines) == 2
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.stem)
def test_every_job_shows_the_version(job, capsys):
    with pytest.raises(SystemExit) as ended:
        load(job).main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"metaclip-spark {__version__}\n"


def test_the_version_is_shown(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"metaclip-spark {__version__}\n"


def test_a_verb_that_does_not_exist_is_refused_in_one_line(capsys):
    assert main(["curat", "--help"]) == 2
    assert capsys.readouterr().err == "error: metaclip-spark has no verb 'curat': did you mean curate?\n"
    assert main(["zzz"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: metaclip-spark has no verb 'zzz': use one of curate, extract, ")
    assert said.count("\n") == 1


def test_a_verb_takes_the_options_of_its_job_and_refuses_in_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["count", "--help"])
    assert stop.value.code == 0
    assert "usage: metaclip-spark count [--config" in capsys.readouterr().out
    assert main(["lint-metadata", "--metadata", "none.json", "--examples", "-1"]) == 2
    assert capsys.readouterr().err == "error: --examples is -1: it must be an integer of at least 0 (see --help)\n"


def test_the_package_itself_runs_a_verb(tmp_path):
    (tmp_path / "list.json").write_text('["a dog", "house"]')
    done = python("-m", "metaclip_spark", "lint-metadata", "--metadata", tmp_path / "list.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 entries" in done.stdout


OF_A_MISSING_PACKAGE = {"contextlib", "metaclip_spark.yarn"}


def test_every_job_is_a_verb_and_nothing_more():
    assert {id(load(path).main) for path in JOBS} == {id(job) for job in VERBS.values()}
    for path in JOBS:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)} - OF_A_MISSING_PACKAGE
        assert {name.rpartition(".")[0] for name in imported} == {"metaclip_spark.commands"}
        assert [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names] == ["sys"]
        assert ast.get_docstring(ast.parse(path.read_text())) == load(path).main.description


def test_the_console_script_is_declared():
    import tomllib

    project = tomllib.loads((Path(CHECKOUT) / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"metaclip-spark": "metaclip_spark.commands.main:main"}


@pytest.mark.parametrize(
    ("seeds", "has_learnt", "following"),
    [
        (3, True, "--grid arms --steps 40 --seeds 5 --output OUTPUT"),
        (5, True, ""),
        (3, False, "--grid arms --seeds=3 --steps 80 --output OUTPUT"),
    ],
)
def test_the_benchmark_goes_on_with_enough_seeds_or_else_with_more_steps(monkeypatch, seeds, has_learnt, following):
    typed = f"--output runs/a --grid arms --seeds={seeds} --steps 40"
    monkeypatch.setattr(clip_benchmark, "typed_options", typed.split)
    config = GridConfig(output="runs/a", grid="arms", seeds=seeds, steps=40)
    assert " ".join(clip_benchmark._following_options(config, has_learnt=has_learnt)) == following
