"""Each notebook runs from top to bottom; the first makes the run that the others find."""

import ast
import re
import sys
from collections import Counter

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import metaclip_spark
from tests.support.paths import CHECKOUT

NOTEBOOKS = CHECKOUT / "notebooks"
NAMES = ("explore_pool", "choose_threshold", "inspect_curated", "against_the_paper", "languages", "curated_in_pandas")
MAKE_RUNS = {"explore_pool", "languages"}
SPARK = "import sys; print('Spark:', 'pyspark' in sys.modules)"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Where the notebooks make and find their run: beside the folder that they work in."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "notebooks").mkdir()
    (checkout / "tests").symlink_to(CHECKOUT / "tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("METACLIP_RUN", raising=False)
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("IPYTHONDIR", str(checkout / "ipython"))
        yield checkout / "demo-output"


def client_of(name, folder, kernel=None):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    if kernel:
        # What another notebook has left is not there.
        notebook.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))
    return NotebookClient(notebook, timeout=600, km=kernel, resources={"metadata": {"path": str(folder)}})


@pytest.fixture(scope="module")
def kernel(run_folder):
    """One kernel for all notebooks: the first starts Spark, which the others find running."""
    kernel, client = start_new_kernel(cwd=str(run_folder.parent / "notebooks"))
    client.stop_channels()
    yield kernel
    kernel.shutdown_kernel(now=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs(run_folder, kernel, name):
    has_spark = name != "curated_in_pandas"
    client = client_of(name, run_folder.parent / "notebooks", kernel if has_spark else None)
    client.nb.cells.append(nbformat.v4.new_code_cell(SPARK))
    done = client.execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert (run_folder / "run.json").exists()
    shown = "".join(str(output.get("text", output.get("data", ""))) for output in outputs)
    told = {
        "explore_pool": "no_entry",
        "choose_threshold": "expected size",
        "inspect_curated": "by the draw",
        "against_the_paper": (
            "Not comparable: the list has 86,654 entries (paper: 500,000) and texts were not filtered to English."
        ),
        "languages": "ja: ja is the likeliest language of the text",
        "curated_in_pandas": "curated pairs stand for",
    }
    assert told[name] in shown
    assert f"Spark: {has_spark}" in shown
    if name == "explore_pool":
        reasons = Counter(re.findall(r"<td>((?:record|image|text)\.[a-z_]+)</td>", shown))
        assert len(reasons) > 5
        assert set(reasons.values()) <= {1, 2}
    if name == "inspect_curated":
        assert "<td>not_drawn</td>" in shown
    assert ("image/png" in shown) == (name != "explore_pool")


def test_no_run_is_made_where_one_is_named(run_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("METACLIP_RUN", str(tmp_path / "mistyped"))
    with pytest.raises(CellExecutionError, match="mistyped is not a run"):
        client_of("explore_pool", run_folder.parent / "notebooks").execute()
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stem in NAMES
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


def test_every_notebook_begins_with_a_run():
    for name in NAMES:
        first = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells[0]
        assert ("run = Path(" if name == "curated_in_pandas" else "run = open_run(") in first.source
        assert ("run = curate(" in first.source) == (name in MAKE_RUNS)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_use_public_names_only(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    tree = ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    if name == "curated_in_pandas":
        assert ({node.module for node in imports}, modules) == ({"pathlib"}, {"json", "os", "pandas"})
        return
    assert {node.module for node in imports} == {"metaclip_spark"}
    assert {alias.name for node in imports for alias in node.names} <= set(metaclip_spark.__all__)
    assert modules <= {"os", "pandas"}
    assert not [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
