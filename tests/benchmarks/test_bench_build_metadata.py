"""Keeps the benchmark of building metadata alive, on a dump of one page; nothing here is timed."""

import bz2
import json

from tests.benchmarks import bench_build_metadata
from tests.unit.udfs.wikipedia.test_dumps import page


def test_the_benchmark_reads_a_dump(tmp_path, capsys):
    dump = tmp_path / "dump.xml.bz2"
    dump.write_bytes(bz2.compress(page("A", "a dog " * 1000).encode()))
    assert bench_build_metadata.main(["--dump", str(dump), "--repeats", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == 2 + 2 + 2
    hours = report["english_wikipedia"]
    assert hours["core_hours"] == 16 * hours["hours_on_16_cores"] > 0
