import gzip
import io

from udfs.sources.stream import ByteStream

CONTENT = b"line of a text that compresses\n" * 9_000


class Counted(ByteStream):
    """A stream that defines what a subclass must, and no more."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._content.seek(offset, whence)


def test_a_stream_is_a_file_to_other_readers():
    assert io.BufferedReader(Counted(b"one\ntwo")).readlines() == [b"one\n", b"two"]
    with gzip.open(Counted(gzip.compress(CONTENT))) as file:
        assert file.read() == CONTENT
    stream = Counted(CONTENT)
    assert (stream.readall(), stream.tell(), stream.seekable()) == (CONTENT, len(CONTENT), True)
