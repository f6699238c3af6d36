"""Small packed inputs that stand for much: memory stays within a bound, whatever is in them."""

import subprocess
import sys

from tests.support.paths import CHECKOUT

MOST_MEGABYTES = 300
"""Above what a worker holds that has read one archive and one file of pairs."""

CHILD = """
import resource, sys, zlib
import pyarrow as pa
import zstandard
from tests.support.archive_files import MemoryStream, extract_bytes, page_record
from udfs.pairs.tables import read_pool_batches
from udfs.schemas import ARCHIVE_PATHS

MEGABYTE = 1 << 20

def packed(new_compressor, start, unit, megabytes):
    compressor = new_compressor()
    parts = [compressor.compress(start), *(compressor.compress(unit * MEGABYTE) for _ in range(megabytes))]
    data = b"".join(parts) + compressor.flush()
    assert len(data) < 500_000
    return data

def zstd(*bomb):
    return packed(lambda: zstandard.ZstdCompressor().compressobj(), *bomb)

def gzip(*bomb):
    return packed(lambda: zlib.compressobj(1, zlib.DEFLATED, 31), *bomb)

def extracted(data):
    return extract_bytes(data).status

def pooled(data):
    rows = pa.RecordBatch.from_pylist([{"archive": "a", "path": "a.jsonl"}], schema=ARCHIVE_PATHS)
    open_archive = lambda _path: MemoryStream(data)
    *_, last = read_pool_batches(iter([rows]), url_column="url", text_column="text", open_archive=open_archive)
    return dict(last.to_pylist()[0]["rejected"]) or "ok"

def most_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

record = page_record(0)
extracted(record)
pooled(b'{"url": "https://example.org/a.jpg", "text": "a dog"}')
begun = most_megabytes()
print(extracted(zstd(record, b"\\0", 350)))
print(extracted(gzip(record, b"\\0", 10)))
print(pooled(zstd(b"", b"\\n", 60)))
print(pooled(gzip(b"", b"\\n", 20)))
print(pooled(zstd(b"", b"x", 350)))
print(most_megabytes() - begun)
"""


def test_packed_bombs_are_read_in_bounded_memory() -> None:
    root = CHECKOUT
    child = subprocess.run([sys.executable, "-c", CHILD], cwd=root, capture_output=True, text=True, check=True)
    *results, grown = child.stdout.splitlines()
    too_long = str({"record.line_too_long": 1})
    assert results == ["damaged", "damaged", "ok", "ok", too_long]
    assert int(grown) < MOST_MEGABYTES
