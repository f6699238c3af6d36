"""Registrable domains of hosts as URLs have them, by the bundled list of public suffixes."""

import socket

import pyarrow as pa
import pytest

from udfs.exclusion.registrable_domain import domains_of, registrable_domain
from udfs.schemas import DOMAINS


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("example.org", "example.org"),
        ("img.shop.example.org", "example.org"),
        ("www.example.co.uk", "example.co.uk"),
        ("example.co.uk", "example.co.uk"),
        ("cdn.alice.github.io", "alice.github.io"),
        ("www.example.org:8080", "example.org"),
        ("www.example.org.", "example.org"),
        ("www.bücher.de", "xn--bcher-kva.de"),
        ("www.xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("a.city.kawasaki.jp", "city.kawasaki.jp"),
        ("a.b.invented-suffix", "b.invented-suffix"),
        ("co.uk", "co.uk"),
        ("github.io", "github.io"),
        ("localhost", "localhost"),
        ("192.168.1.1:80", "192.168.1.1"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("%41.example.org", "example.org"),
        ("", ""),
        ("a..example.org", "example.org"),
    ],
)
def test_the_registrable_domain_of_a_host(host, domain):
    assert registrable_domain(host) == domain


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection")

    registrable_domain.__globals__["_extract"].cache_clear()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert registrable_domain("a.example.com.au") == "example.com.au"


def test_batches_keep_their_other_columns():
    rows = [{"domain": f"{name}.example.org", "side": "image", "matched": 3, "curated": 1} for name in "ab"]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOMAINS)
    (made,) = domains_of([batch])
    assert made.to_pylist() == [{**row, "domain": "example.org"} for row in rows]
