"""The way of an archive through the compiled loop, and back to the readers in Python for what is not plain.

The reference reader (FastWARC, `record_reader`, msgspec) reads every archive; the loop reads plain records of gzip and
zstd archives in a third of the time. Where it stops, the reference reader begins anew at the last record that the loop
read, so that it says of what follows what it would have said without the loop. Where plain members follow, the loop
goes on.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from udfs.archives import ArchiveReadError, ArchiveRecord, Damage
from udfs.archives.one_shot import Decompressor, new_decompressors
from udfs.archives.record_reader import HEADER_BYTES, read_whole_record
from udfs.archives.source import ArchiveSource
from udfs.archives.warc import WarcReader
from udfs.archives.warc_kernel import Inflater
from udfs.compilation import KernelSet
from udfs.pages.declared.kernel import DECLARED_LENGTH, agent_list
from udfs.pages.declared.language import unpack_language
from udfs.pages.html import decode_tag
from udfs.pages.html_kernel import tag_kernel
from udfs.pages.image_table import (
    HREF,
    IS_PLAIN,
    SRC,
    TAG_BEGIN,
    TAG_COLUMNS,
    TAG_END,
    Declared,
    ImageValues,
    Loss,
    PageImages,
)
from udfs.pages.wat import decode_link
from udfs.pages.wat_kernel import DEEPEST_NESTING, FOUND_LENGTH, link_kernel
from udfs.pairs import ExtractOptions
from udfs.pairs.kernel import STATE_LENGTH, Bytes, Numbers, pair_kernel
from udfs.pairs.loop_kernel import (
    AT,
    COLUMNS_FULL,
    FIRST_SKIPPED,
    FIRST_TAG_COLUMN,
    IMAGE_PLACE,
    IN_WAT,
    LAST_OFFSET,
    LEFT_BASE_BEGIN,
    LEFT_BASE_END,
    LEFT_BEGIN,
    LEFT_COLUMNS,
    LEFT_END,
    LEFT_FIRST_IMAGE,
    LEFT_FULL,
    LEFT_IMAGE_COLUMNS,
    LEFT_IMAGE_COUNT,
    LEFT_IMAGES,
    LEFT_IN_WAT,
    LEFT_IS_HTML,
    LEFT_LANGUAGE,
    LEFT_OFFSET,
    LEFT_PREFERENCES,
    LEFT_REASONS,
    LEFT_RECORDS,
    LEFT_URL_BEGIN,
    LEFT_URL_END,
    LEFT_WHY,
    MORE_INPUT,
    PAGES,
    PLAIN_USED,
    PROGRESS_LENGTH,
    RECORDS,
    SKIPPED,
    Input,
    Limits,
    Workspace,
    loop_kernel,
)
from udfs.pairs.md5_kernel import md5_kernel
from udfs.pairs.records import RecordAdder
from udfs.schemas import SOURCES
from udfs.sources.codecs import CHUNK_BYTES, Codec

_INPUT_BYTES = 1 << 20
"""What is read before the loop goes on."""

_LARGEST_MEMBER_BYTES = 4 << 20
"""Larger members, compressed or not, are for the reference reader."""

_LARGEST_BLOCK_BYTES = _LARGEST_MEMBER_BYTES - HEADER_BYTES
"""Records with larger blocks may be too large for the loop."""

_WORTH_COMPILING_BYTES = 32 << 20
"""Less than this is read in Python in less time than it takes to compile the kernels."""

KERNELS = KernelSet(tag_kernel, link_kernel, pair_kernel, md5_kernel, loop_kernel, fewest_bytes=_WORTH_COMPILING_BYTES)
"""What extraction uses once it is there."""

_RECORDS_BETWEEN_LOOKS = 256
"""Read in Python before the next look for kernels that have been compiled meanwhile."""

_MOST_IMAGES = 4096
_MOST_LEFT_RECORDS = 256
_FIRST_LEFT = 16
"""Records or images that wait for Python at first: after some examples of losses the loop counts most of them itself,
and an archive of odd records is soon known."""

_MISSES_TO_GIVE_UP = 16
_READ_TWICE_TO_GIVE_UP = 64 << 20
"""Bytes that were read ahead of where the loop stopped, beyond as many as lie before."""


class _Stop(NamedTuple):
    """Where the loop came to its end: at a member that is not plain, behind the last record that it read, if any."""

    member: int
    last_record: int | None


class CompiledLoop:
    """Reads archives, one after another, in the same memory."""

    def __init__(self, decompressors: Mapping[Codec, Decompressor], options: ExtractOptions) -> None:
        """Takes what decompresses members, and the options of extraction."""
        self._decompressors = decompressors
        self._page_bytes = options.max_page_bytes
        self._record_bytes = options.max_record_bytes
        self._agents = agent_list(options.preference_agents)
        self._input = np.empty(_LARGEST_MEMBER_BYTES + 2 * _INPUT_BYTES, np.uint8)
        self._input_end = 0
        self._input_offset = 0
        self._error: ArchiveReadError | None = None
        self._most_left = _FIRST_LEFT
        self._misses = 0
        self._records = 0
        self._read_twice = 0
        self._work = _new_workspace()

    def takes(self, source: ArchiveSource) -> bool:
        """Tells whether an archive has the form that the loop reads."""
        return source.codec in self._decompressors and not source.is_arc and not source.layers

    def read(self, source: ArchiveSource, adder: RecordAdder) -> Iterator[None]:
        """Reads an archive to its end.

        Args:
            source: The archive.
            adder: Takes what is found.

        Yields:
            None, whenever batches may be full.

        Raises:
            ArchiveReadError: The bytes cannot be fetched.
        """
        self._misses, self._records, self._read_twice, self._most_left = 0, 0, 0, _FIRST_LEFT
        self._work.progress[:] = 0
        reference = WarcReader(source, max_block_bytes=self._record_bytes)
        start = 0 if KERNELS.load() else (yield from self._read_until_compiled(reference, adder))
        while start is not None:
            stop = yield from self._read_members(source, start, adder)
            start = None if stop is None else (yield from self._read_by_reference(reference, stop, adder))

    def _read_until_compiled(self, reference: WarcReader, adder: RecordAdder) -> Generator[None, None, int | None]:
        """Reads in Python until the kernels are there; returns where the loop may go on, None at the end."""
        items, next_look = reference.read(0), 0
        for number, item in enumerate(items):
            if number >= next_look and _begins_member(item):
                if KERNELS.load():
                    items.close()
                    return _offset_of(item)
                next_look = number + _RECORDS_BETWEEN_LOOKS
            adder.add(item, "not_compiled")
            yield
        return None

    def _read_members(
        self, source: ArchiveSource, start: int, adder: RecordAdder
    ) -> Generator[None, None, _Stop | None]:
        """Reads plain members; returns where they end before the archive does.

        Raises:
            ArchiveReadError: The bytes cannot be fetched.
        """
        assert source.codec is not None, "`takes` knows"
        inflater = self._decompressors[source.codec].inflater
        progress = self._work.progress
        self._input_end, self._input_offset, self._error = 0, start, None
        progress[AT], progress[LAST_OFFSET], progress[IN_WAT] = 0, -1, adder.in_wat
        source.stream.seek(start)
        is_all = False
        while True:
            is_all = is_all or not self._fill(source)
            why = self._run(inflater, adder)
            yield
            while why in {COLUMNS_FULL, LEFT_FULL} and not self._gives_up():
                why = self._run(inflater, adder)
                yield
            is_read = why == MORE_INPUT and progress[AT] == self._input_end
            if is_all and why == MORE_INPUT and self._error is not None:
                raise self._error
            if is_all and is_read:
                return None
            is_stuck = is_all or self._input_end - progress[AT] > _LARGEST_MEMBER_BYTES
            if why != MORE_INPUT or (is_stuck and not is_read) or self._gives_up():
                last = int(progress[LAST_OFFSET])
                self._read_twice += self._input_end - int(progress[AT])
                return _Stop(self._input_offset + int(progress[AT]), None if last < 0 else last)

    def _fill(self, source: ArchiveSource) -> bool:
        """Reads on behind what the loop has not read; false at the end, and where the reference reader must look."""
        at, end = int(self._work.progress[AT]), self._input_end
        self._input[: end - at] = self._input[at:end].copy()
        self._input_offset += at
        self._input_end = wanted = end - at
        self._work.progress[AT] = 0
        wanted += _INPUT_BYTES
        while self._input_end < wanted:
            try:
                data = source.stream.read(CHUNK_BYTES)
            except ArchiveReadError as error:
                self._error = error
                return False
            if not data:
                return False
            self._input[self._input_end : self._input_end + len(data)] = np.frombuffer(data, np.uint8)
            self._input_end += len(data)
        return True

    def _run(self, inflater: Inflater, adder: RecordAdder) -> int:
        """Runs the loop once, and takes out what it has left."""
        columns = adder.rows.columns
        limits = Limits(columns.known, self._page_bytes, self._record_bytes, self._most_left, self._agents)
        known = Input(self._input, self._input_end, self._input_offset)
        why = int(loop_kernel()(inflater, known, limits, columns.buffers(), self._work))
        if why == LEFT_FULL:
            self._most_left = min(4 * self._most_left, _MOST_IMAGES)
        if why == COLUMNS_FULL:
            adder.rows.flush_pairs()
        self._add_left(adder)
        self._add_counted(adder)
        return why

    def _gives_up(self) -> bool:
        most_read_twice = _READ_TWICE_TO_GIVE_UP + self._input_offset
        is_odd = self._misses >= _MISSES_TO_GIVE_UP and self._misses > self._records
        return is_odd or self._read_twice > most_read_twice

    def _add_counted(self, adder: RecordAdder) -> None:
        progress = self._work.progress
        skipped = zip(SKIPPED, progress[FIRST_SKIPPED:].tolist(), strict=True)
        rejected = {f"record.skipped_{name}": count for name, count in skipped}
        self._records += int(progress[RECORDS])
        adder.rows.add_counted(int(progress[RECORDS]), int(progress[PAGES]), rejected)
        progress[RECORDS:] = 0
        adder.in_wat = adder.in_wat or bool(progress[IN_WAT])
        progress[IN_WAT] = adder.in_wat

    def _add_left(self, adder: RecordAdder) -> None:
        """Reads what the loop has left, in the archive's order."""
        work = self._work
        for row in work.left_records[: work.progress[LEFT_RECORDS]]:
            adder.in_wat = adder.in_wat or bool(row[LEFT_IN_WAT])
            if row[LEFT_IMAGE_COUNT]:
                adder.rows.add_left_images(int(row[LEFT_OFFSET]), self._left_page(row))
            else:
                self._misses += 1
                content = work.plain[row[LEFT_BEGIN] : row[LEFT_END]].tobytes()
                record = read_whole_record(content, int(row[LEFT_OFFSET]), max_block_bytes=self._record_bytes)
                adder.add(record, LEFT_REASONS[row[LEFT_WHY]])
        work.progress[[LEFT_RECORDS, LEFT_IMAGES, PLAIN_USED]] = 0

    def _left_page(self, row: Numbers) -> PageImages:
        plain, first = self._work.plain, row[LEFT_FIRST_IMAGE]
        url, base_url = (
            plain[row[begin] : row[end]].tobytes().decode()
            for begin, end in ((LEFT_URL_BEGIN, LEFT_URL_END), (LEFT_BASE_BEGIN, LEFT_BASE_END))
        )
        images = self._work.left_images[first : first + row[LEFT_IMAGE_COUNT]]
        decode = decode_tag if row[LEFT_IS_HTML] else decode_link
        values: dict[int, ImageValues | Loss] = {
            int(image[IMAGE_PLACE]): _values_of(plain, image[FIRST_TAG_COLUMN:], decode) for image in images
        }
        declared = Declared(unpack_language(int(row[LEFT_LANGUAGE])), int(row[LEFT_PREFERENCES]))
        return PageImages(url, base_url, decoded=values, declared=declared)

    def _read_by_reference(
        self, reference: WarcReader, stop: _Stop, adder: RecordAdder
    ) -> Generator[None, None, int | None]:
        """Reads in Python from a member that is not plain on; returns where the loop may go on, None at the end."""
        self._misses += 1
        may_go_on = not self._gives_up()
        for item in (items := reference.read(stop.member if stop.last_record is None else stop.last_record)):
            # zlib may refuse what libdeflate has read.
            if _offset_of(item) == stop.last_record:
                continue
            if may_go_on and _offset_of(item) > stop.member and _begins_member(item):
                items.close()
                return _offset_of(item)
            adder.add(item, _why_not_read(item) if may_go_on else "archive")
            yield
        return None


def _offset_of(item: ArchiveRecord | Damage) -> int:
    return item.start if isinstance(item, Damage) else item.offset


def _why_not_read(item: ArchiveRecord | Damage) -> str:
    if isinstance(item, Damage) or item.is_truncated:
        return "member"
    return "size" if item.content_length > _LARGEST_BLOCK_BYTES else "member"


def _begins_member(item: ArchiveRecord | Damage) -> bool:
    return isinstance(item, ArchiveRecord) and item.begins_member


def _values_of(plain: Bytes, tag: Numbers, decode: Callable[[bytes], ImageValues]) -> ImageValues:
    """Reads an image that the loop has left."""
    if not tag[IS_PLAIN]:
        return decode(plain[tag[TAG_BEGIN] : tag[TAG_END]].tobytes())
    src, *texts = (
        plain[tag[at] : tag[at + 1]].tobytes().decode() if tag[at] >= 0 else None for at in range(SRC, HREF, 2)
    )
    return ImageValues(src, [(source, text) for source, text in zip(SOURCES, texts, strict=True) if text is not None])


def _new_workspace() -> Workspace:
    return Workspace(
        plain=np.empty(_LARGEST_MEMBER_BYTES, np.uint8),
        tags=np.empty((_MOST_IMAGES, TAG_COLUMNS), np.int64),
        base=np.empty(TAG_COLUMNS, np.int64),
        declared=np.empty(DECLARED_LENGTH, np.int64),
        found=np.empty(FOUND_LENGTH, np.int64),
        stack=np.empty(DEEPEST_NESTING, np.uint8),
        refused=np.empty(_MOST_IMAGES, np.int64),
        sizes=np.empty(2, np.int64),
        state=np.empty(STATE_LENGTH, np.int64),
        left_records=np.empty((_MOST_LEFT_RECORDS, LEFT_COLUMNS), np.int64),
        left_images=np.empty((_MOST_IMAGES, LEFT_IMAGE_COLUMNS), np.int64),
        progress=np.zeros(PROGRESS_LENGTH, np.int64),
    )


def new_loop(options: ExtractOptions) -> CompiledLoop | None:
    """Makes a loop; None where there is nothing to inflate with."""
    decompressors = new_decompressors()
    return CompiledLoop(decompressors, options) if decompressors else None
