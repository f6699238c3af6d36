"""Records that crash or hang the parser cost themselves only."""

import os
import signal
import sys
import threading
import time

import msgspec
import pytest

from tests.support.archive_files import (
    extract_outcomes,
    http_response,
    image_link,
    read_images,
    warc_record,
    wat_document,
)
from udfs.archives import ArchiveRecord
from udfs.pages import isolation
from udfs.pages.image_table import MOST_IMAGES, Loss
from udfs.pages.isolation import IsolatedPages, ParserProcessError, page_reader
from udfs.pairs import ExtractOptions

PAGE = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<img src=a.jpg alt="a dog">'
CHILD = """
import os, sys, time
from udfs.pages.isolated_worker import serve
from udfs.pages.parse import parse_page as parse
def parse_page(record, max_page_bytes, agents):
    if b"CRASH" in record.block:
        os.kill(os.getpid(), 11)
    while b"HANG" in record.block:
        pass
    if b"SLEEP" in record.block:
        time.sleep(1.5)
    return parse(record, max_page_bytes, agents)
serve(parse_page, sys.stdin.buffer, sys.stdout.buffer)
"""


def record(offset: int, block: bytes) -> ArchiveRecord:
    return ArchiveRecord(
        offset, "response", "http://example.org/", "application/http; msgtype=response", None, len(block), block
    )


@pytest.fixture
def isolated():
    made = IsolatedPages(1 << 20, 5.0, [sys.executable, "-c", CHILD])
    yield made
    made.close()


def test_the_child_gives_what_the_worker_gives(isolated):
    here = page_reader(0, 1 << 20, 60.0)
    pages = [read_images(read(record(0, PAGE))) for read in (isolated, here)]
    assert [page.images for page in pages] == [1, 1]
    assert pages[0] == pages[1]
    for read in (isolated, here):
        lost = read(record(0, b"HTTP/1.1 404 Not Found\r\n\r\n"))
        assert isinstance(lost, Loss)
        assert lost.reason.startswith("record.skipped_")


TIMERS = signal.ITIMER_PROF, signal.ITIMER_REAL


def test_a_page_is_parsed_under_two_timers(monkeypatch):
    left = []
    monkeypatch.setattr(
        isolation, "parse_page", lambda *_, **__: left.append([signal.getitimer(timer)[0] for timer in TIMERS])
    )
    page_reader(0, 1 << 20, 60.0)(record(0, PAGE))
    [[processor, clock]] = left
    assert 0 < processor <= 61
    assert 1100 < clock <= 1200


def test_a_page_of_too_many_images_is_lost_in_the_child_as_in_the_worker(isolated):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"<img>" * (MOST_IMAGES + 1)
    lost = [read(record(0, block)) for read in (isolated, page_reader(0, 1 << 20, 60.0))]
    assert lost[0] == lost[1] == Loss("record.page_too_large", "more than 100000 images: http://example.org/")


def test_a_crash_and_a_hang_cost_one_record_each(isolated):
    isolated(record(0, PAGE))
    isolated._timeout_seconds = 1.0
    for block, reason in ((b"CRASH", "record.parser_crash"), (b"HANG", "record.parser_timeout")):
        lost = isolated(record(0, PAGE + block))
        assert isinstance(lost, Loss)
        assert lost.reason == reason
        assert "http://example.org/" in lost.example
        isolated._timeout_seconds = 5.0
        assert len(isolated(record(0, PAGE)).rows) == 1
        isolated._timeout_seconds = 1.0


def test_a_pause_costs_no_page(isolated):
    isolated(record(0, PAGE))
    isolated._timeout_seconds = 1.0
    assert len(isolated(record(0, PAGE + b"SLEEP")).rows) == 1
    child = isolated._child
    resume = threading.Timer(1.5, child.send_signal, [signal.SIGCONT])
    child.send_signal(signal.SIGSTOP)
    resume.start()
    assert len(isolated(record(0, PAGE)).rows) == 1
    assert isolated._child is child


def test_a_parser_that_sleeps_for_ever_ends_the_attempt_and_loses_no_page(isolated, monkeypatch):
    isolated(record(0, PAGE))
    monkeypatch.setattr(isolation, "_SLEEP_SECONDS", 0.2)
    isolated._timeout_seconds = 0.01
    with pytest.raises(ParserProcessError, match="did not answer for 0 s"):
        isolated(record(0, PAGE + b"SLEEP"))


def test_a_child_that_does_not_start_is_no_records_fault():
    isolated = IsolatedPages(1 << 20, 5.0, [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(ParserProcessError, match="did not start"):
        isolated(record(0, PAGE))


def test_no_child_is_asked_about_a_record_that_holds_no_page():
    isolated = IsolatedPages(1 << 20, 5.0, [sys.executable, "-c", "raise SystemExit(3)"])
    json = msgspec.json.encode(wat_document((image_link("/a.jpg", "a dog"),)))
    wat = ArchiveRecord(0, "metadata", "http://example.org/", "application/json", None, len(json), json)
    request = ArchiveRecord(0, "request", "http://example.org/", "application/http", None, 4, b"GET ")
    here = page_reader(0, 1 << 20, 60.0)
    assert read_images(isolated(wat)) == read_images(here(wat))
    assert read_images(here(wat)).images == 1
    assert isolated(request) == here(request)


def works(*_, **__):
    while True:
        pass


def sleeps(*_, **__):
    time.sleep(30)


@pytest.mark.parametrize(
    ("parse", "cpu_seconds", "sleep_seconds", "ending"),
    [(works, 0.2, 20.0, signal.SIGPROF), (sleeps, 0.01, 0.2, signal.SIGALRM)],
)
def test_a_worker_ends_whose_parser_runs_away_or_sleeps_for_ever(parse, cpu_seconds, sleep_seconds, ending):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        isolation.parse_page, isolation._SLEEP_SECONDS = parse, sleep_seconds
        page_reader(0, 1 << 20, cpu_seconds)(record(0, PAGE))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == ending


def test_no_timer_is_left_behind():
    page_reader(0, 1 << 20, 60.0)(record(0, PAGE))
    assert [signal.getitimer(timer) for timer in TIMERS] == [(0.0, 0.0)] * 2


def test_a_second_attempt_gives_the_same_rows(tmp_path):
    from tests.support.jobs import SAMPLE

    (tmp_path / "a.warc").write_bytes(warc_record(http_response(b"<img src=a alt=b>", "X-Robots-Tag: ccbot: noai")))
    paths = [str(sorted(SAMPLE.glob("*.warc.gz"))[0]), str(tmp_path / "a.warc")]
    options = ExtractOptions(preference_agents=("ccbot",))
    first, second = (extract_outcomes(paths, options, attempt=attempt) for attempt in (0, 1))
    assert first == second
    assert [pair["page_preferences"] for pair in second[1].pairs] == [1]
