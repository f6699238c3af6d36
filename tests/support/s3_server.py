"""The S3 that the tests use: moto on loopback, or another server. Used by the tests.

METACLIP_S3_ENDPOINT names one that runs; with METACLIP_S3_SERVER=versitygw a versitygw is started in place of moto.
"""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import boto3
import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "never-to-be-shown", "AWS_REGION": "us-east-1"}


@dataclass(frozen=True)
class Bucket:
    """A new bucket.

    Attributes:
        endpoint: The server.
        name: The bucket.
    """

    endpoint: str
    name: str

    @cached_property
    def client(self):
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")

    def put(self, key: str, content: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return f"s3://{self.name}/{key}"

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


@contextmanager
def s3_server() -> Iterator[str]:
    """Gives the endpoint of a server and sets credentials where there are none."""
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update({name: os.environ.get(name) or value for name, value in CREDENTIALS.items()})
    try:
        with _server() as endpoint:
            yield endpoint
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def is_moto() -> bool:
    """Tells whether the tests use moto, which does not check signatures."""
    return not (os.environ.get("METACLIP_S3_ENDPOINT") or os.environ.get("METACLIP_S3_SERVER"))


@contextmanager
def _server() -> Iterator[str]:
    if endpoint := os.environ.get("METACLIP_S3_ENDPOINT"):
        yield endpoint
    elif os.environ.get("METACLIP_S3_SERVER") == "versitygw":
        with _versitygw() as endpoint:
            yield endpoint
    else:
        with _moto() as endpoint:
            yield endpoint


@contextmanager
def _versitygw() -> Iterator[str]:
    from tests.cluster.versitygw_server import versitygw_program, versitygw_server

    try:
        versitygw_program()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with versitygw_server(*(os.environ[name] for name in CREDENTIALS)) as endpoint:
        yield endpoint


@contextmanager
def _moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        server._server.app = _one_creation_at_a_time(server._server.app)
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def _one_creation_at_a_time(application: Callable) -> Callable:
    """Moto looks for an object and then puts it, which lets two create one; S3 does both at once."""
    lock = threading.Lock()

    def serve(environment: dict, start_response: Callable):
        if "HTTP_IF_NONE_MATCH" not in environment:
            return application(environment, start_response)
        with lock:
            return application(environment, start_response)

    return serve


def new_bucket(endpoint: str) -> Bucket:
    """Makes a bucket with a name of its own."""
    bucket = Bucket(endpoint, f"metaclip-{uuid.uuid4().hex[:12]}")
    bucket.client.create_bucket(Bucket=bucket.name)
    return bucket
