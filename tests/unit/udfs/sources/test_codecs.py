"""Codecs are known by how a stream begins, and each decompresses one stream of it."""

import bz2
import gzip
import lzma

import pytest
import zstandard

from udfs.sources.codecs import (
    BZIP2,
    GZIP,
    UNREADABLE_STARTS,
    XZ,
    ZSTD,
    CorruptStreamError,
    StreamDecompressor,
    codec_of,
    unreadable_form,
)

CONTENT = b"".join(b"line %d of a text that compresses\n" % (number * 7919) for number in range(9_000))
PACKS = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress, "xz": lzma.compress}
CODECS = {"gzip": GZIP, "zstd": ZSTD, "bzip2": BZIP2, "xz": XZ}
every_form = pytest.mark.parametrize("form", PACKS)


@every_form
def test_a_form_is_known_by_its_first_bytes(form):
    assert codec_of(PACKS[form](CONTENT)) is CODECS[form]
    assert codec_of(PACKS[form](b"")) is CODECS[form]
    assert PACKS[form](CONTENT).startswith(CODECS[form].magic)
    assert unreadable_form(PACKS[form](CONTENT)) is None


def test_plain_bytes_have_no_codec_and_forms_that_are_not_read_are_named():
    assert codec_of(CONTENT) is codec_of(b"") is None
    for magic, form in UNREADABLE_STARTS.items():
        assert codec_of(magic + CONTENT) is None
        assert unreadable_form(magic + CONTENT) == form


@every_form
def test_a_stream_by_itself_knows_its_end(form):
    stream = StreamDecompressor(CODECS[form])
    packed = PACKS[form](CONTENT)
    half = len(packed) // 2
    decoded = b"".join(stream.parts(packed[:half]))
    assert not stream.is_complete
    decoded += b"".join(stream.parts(packed[half:] + b"rest"))
    assert (decoded, stream.is_complete, stream.unused) == (CONTENT, True, b"rest")
    with pytest.raises(CorruptStreamError):
        list(StreamDecompressor(CODECS[form]).parts(CODECS[form].magic + b"\xff" * 200))
