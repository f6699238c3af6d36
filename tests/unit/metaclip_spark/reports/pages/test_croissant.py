"""The description for programs: its fields are the columns, and mlcroissant takes it and reads the set by it."""

import json
import os
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaclip_spark.reports.pages.croissant import render_croissant
from tests.support.hostile import hostile_report
from udfs.schemas import CURATED

READ = """
import json, sys
import mlcroissant
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
if dataset.metadata.ctx.issues.errors:
    sys.exit(str(dataset.metadata.ctx.issues.errors))
rows = [{name.rpartition("/")[2]: value for name, value in row.items()} for row in dataset.records("pairs")]
print(json.dumps([[row["pair_id"].decode(), [int(entry) for entry in row["entry_ids"]]] for row in rows]))
"""
PYTHON = os.environ.get("METACLIP_CROISSANT_PYTHON")


def test_fields_are_the_columns_of_the_curated_set():
    described = json.loads(render_croissant(hostile_report()))
    (records,) = described["recordSet"]
    fields = {field["name"]: field for field in records["field"]}
    assert list(fields) == CURATED.names
    assert all(field["source"]["extract"]["column"] == name for name, field in fields.items())
    assert [name for name, field in fields.items() if field.get("repeated")] == ["entry_ids"]
    kinds = {
        "string": "sc:Text",
        "int64": "sc:Integer",
        "int32": "sc:Integer",
        "float": "sc:Float",
        "double": "sc:Float",
    }
    for column in CURATED:
        kind = column.type.value_type if pa.types.is_list(column.type) else column.type
        assert fields[column.name]["dataType"] == kinds[str(kind)]


def test_no_path_of_a_machine_is_named():
    report = hostile_report()
    page = render_croissant(report)
    assert report.output not in page
    assert all(command.folder not in page for command in report.commands)


@pytest.mark.skipif(PYTHON is None, reason="METACLIP_CROISSANT_PYTHON names no Python with mlcroissant")
def test_mlcroissant_takes_it_and_reads_the_set(tmp_path):
    (tmp_path / "curated").mkdir()
    rows = [
        {"pair_id": f"{place:032x}", "image_url": "http://example.org/a", "alt_text": "a", "entry_ids": [place, 7]}
        for place in range(3)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CURATED), tmp_path / "curated/part-0.parquet")
    path = tmp_path / "croissant.json"
    path.write_text(render_croissant(hostile_report()))
    done = subprocess.run([PYTHON, "-c", READ, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[row["pair_id"], row["entry_ids"]] for row in rows]
