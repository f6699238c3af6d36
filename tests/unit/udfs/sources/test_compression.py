"""Decompression by content: all forms, streams behind each other, faults after what could be decoded."""

import bz2
import gzip
import io
import lzma
import time
import tracemalloc
import zlib

import pytest
import zstandard

from udfs.sources.codecs import (
    CHUNK_BYTES,
    LARGEST_OUTPUT_BYTES,
    StreamDecompressor,
)
from udfs.sources.compression import (
    Fault,
    decompress_brotli,
    decompress_deflate,
    decompress_gzip,
    decompress_whole,
    decompress_zstd,
    decompressed,
    read_chunks,
)

CONTENT = b"".join(b"line %d of a text that compresses\n" % (number * 7919) for number in range(9_000))
BROTLI = bytes.fromhex("1b5301f88dc43886f2a9b6a406110aa3d3696c6f724a92d90a0489c4fbf7bd05")
PACKS = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress, "xz": lzma.compress}
every_form = pytest.mark.parametrize("form", PACKS)


def read(parts) -> tuple[bytes, list[str]]:
    """Joins what could be decoded; gives it with the reasons of the faults."""
    parts = list(parts)
    faults = [part.reason for part in parts if isinstance(part, Fault)]
    content = [part for part in parts if not isinstance(part, Fault)]
    assert all(content)
    assert all(len(part) <= LARGEST_OUTPUT_BYTES for part in content)
    return b"".join(content), faults


def test_plain_bytes_pass():
    assert read(decompressed([CONTENT])) == (CONTENT, [])
    assert read(decompressed([])) == (b"", [])


@every_form
@pytest.mark.parametrize("size", [1, 100, CHUNK_BYTES])
def test_streams_behind_each_other_are_one_content_in_chunks_of_any_size(form, size):
    packed = PACKS[form](CONTENT[:5000]) + PACKS[form](b"") + PACKS[form](CONTENT[5000:])
    chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert read(decompressed(chunks)) == (CONTENT, [])


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz"])
def test_zeros_between_and_behind_streams_are_padding(form):
    packed = bytes(8).join([PACKS[form](CONTENT), PACKS[form](CONTENT), b""])
    assert read(decompressed([packed])) == (CONTENT * 2, [])


@every_form
@pytest.mark.parametrize("cut", [1, 8, 1000])
def test_a_cut_stream_is_decoded_up_to_the_cut(form, cut):
    content, faults = read(decompressed([PACKS[form](CONTENT)[:-cut]]))
    assert faults == ["truncated"]
    assert CONTENT.startswith(content)


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz"])
def test_many_zeros_are_skipped_at_once(form):
    packed = bytes(4 << 20).join([PACKS[form](CONTENT), PACKS[form](CONTENT)])
    begun = time.process_time()
    assert read(decompressed([packed])) == (CONTENT * 2, [])
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("place", [-8, -4], ids=["checksum", "length"])
@pytest.mark.parametrize("size", [0, 1, 200, len(CONTENT)])
def test_all_is_decoded_before_a_wrong_trailer_of_gzip(place, size):
    broken = bytearray(gzip.compress(CONTENT[:size]))
    broken[place] ^= 1
    assert read(decompressed(read_chunks(io.BytesIO(broken)))) == (CONTENT[:size], ["corrupt_stream"])


def test_what_is_before_damage_within_gzip_is_decoded():
    packed = zlib.compressobj(wbits=31)
    start = packed.compress(CONTENT) + packed.flush(zlib.Z_FULL_FLUSH)
    # A block of a type that is not defined.
    assert read(decompressed([start + b"\xff" * 99])) == (CONTENT, ["corrupt_stream"])


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_behind_a_corrupt_stream_nothing_is_decoded(form):
    broken = bytearray(PACKS[form](CONTENT))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = b"\xff" * 40
    content, faults = read(decompressed([PACKS[form](b"before\n"), bytes(broken), PACKS[form](b"after\n")]))
    assert faults == ["corrupt_stream"]
    assert content.startswith(b"before\n")
    assert not content.endswith(b"after\n")


@pytest.mark.parametrize("form", ["bzip2", "xz"])
def test_behind_a_corrupt_stream_the_next_one_is_found(form):
    broken = bytearray(PACKS[form](CONTENT))
    broken[40:60] = bytes(20)
    content, faults = read(decompressed([PACKS[form](b"before\n"), bytes(broken), PACKS[form](b"after\n")]))
    assert faults == ["corrupt_stream"]
    assert content.startswith(b"before\n")
    assert content.endswith(b"after\n")


@every_form
def test_foreign_bytes_behind_the_last_stream_are_a_fault(form):
    assert read(decompressed([PACKS[form](CONTENT), b"<html>"])) == (CONTENT, ["bytes_after_end"])


def test_a_stream_that_demands_too_much_memory_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert read(decompressed([packer.compress(CONTENT) + packer.flush()])) == (b"", ["window_too_large"])


@every_form
def test_a_bomb_is_decoded_in_bounded_memory(form):
    bomb = PACKS[form](bytes(32 << 20))
    tracemalloc.start()
    size = sum(map(len, decompressed(read_chunks(io.BytesIO(bomb)))))
    assert tracemalloc.get_traced_memory()[1] < 12 << 20
    tracemalloc.stop()
    assert size == 32 << 20


def test_bodies_of_http():
    raw = zlib.compressobj(wbits=-15)
    for packed in (zlib.compress(CONTENT), raw.compress(CONTENT) + raw.flush()):
        assert read(decompress_deflate(packed)) == (CONTENT, [])
        assert read(decompress_deflate(packed[:-20]))[1] == ["truncated"]
    assert read(decompress_gzip(gzip.compress(CONTENT))) == (CONTENT, [])
    assert read(decompress_brotli(BROTLI)) == (b"a text in Brotli " * 20, [])
    assert read(decompress_brotli(b"no brotli at all"))[1] == ["corrupt_stream"]


BODIES = {
    "gzip": (decompress_gzip, gzip.compress),
    "zstd": (decompress_zstd, zstandard.compress),
    "deflate": (decompress_deflate, zlib.compress),
    "deflate (raw)": (decompress_deflate, lambda body: zlib.compress(body, wbits=-15)),
}


@pytest.mark.parametrize("coding", BODIES)
def test_a_body_ends_where_its_codec_ends(coding):
    decompress, pack = BODIES[coding]
    joined = (coding,) if coding in PACKS else ()
    assert read(decompress(pack(CONTENT) + bytes(3) + pack(CONTENT))) == (CONTENT, [])
    assert read(decompress(pack(CONTENT) + b"<html>")) == (CONTENT, [])
    for form, pack_next in PACKS.items():
        assert read(decompress(pack(CONTENT) + pack_next(b"next"))) == (CONTENT + b"next" * (form in joined), [])


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_small_streams_are_given_few_bytes_that_are_behind_their_end(form, monkeypatch):
    given = []
    parts = StreamDecompressor.parts
    monkeypatch.setattr(StreamDecompressor, "parts", lambda self, data: given.append(len(data)) or parts(self, data))
    packed = PACKS[form](b"a") * 4000
    for decoded in (decompressed([packed]), BODIES[form][0](packed)):
        given.clear()
        assert read(decoded) == (b"a" * 4000, [])
        assert sum(given) < 5000 * 4000


@every_form
def test_a_whole_file_is_decompressed_or_refused(form):
    packed = PACKS[form](CONTENT)
    assert decompress_whole(packed) == decompress_whole(CONTENT) == CONTENT
    with pytest.raises(ValueError, match="its compression is damaged: truncated"):
        decompress_whole(packed[:-5])


def test_a_byte_range_is_read_in_chunks():
    stream = io.BytesIO(CONTENT)
    assert [len(chunk) for chunk in read_chunks(stream, 10, CHUNK_BYTES + 30)] == [CHUNK_BYTES, 20]
    assert b"".join(read_chunks(stream, 10)) == CONTENT[10:]
    assert list(read_chunks(stream, 10, 10)) == []
