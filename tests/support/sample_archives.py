"""A small archive of five pages, as records, members and ARC records, and what of it was kept."""

from tests.support.archive_files import Outcome, http_response, members, page_record

RECORDS = [page_record(number, padding=3000) for number in range(5)]
MEMBERS = members(RECORDS)
ARCHIVE = b"".join(MEMBERS)
STARTS = [sum(map(len, MEMBERS[:number])) for number in range(6)]
ARC_VERSION = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_HEADER = b"filedesc://a.arc 0.0.0.0 20100101000000 text/plain %d\n%s\n" % (len(ARC_VERSION), ARC_VERSION)


def kept(outcome: Outcome) -> list[int]:
    return [int(text.removeprefix("a dog ")) for text in outcome.texts]


def arc_record(number: int) -> bytes:
    block = http_response(b'<img src="/%d.jpg" alt="a dog %d">' % (number, number) + bytes(range(32, 127)) * 9)
    return b"http://example.org/%d 127.0.0.1 20100101000000 text/html %d\n" % (number, len(block)) + block + b"\n"


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]
