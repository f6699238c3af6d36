"""The client of S3: which region it signs for."""

import boto3
import pytest

from udfs.sources.options import REGION_VARIABLES, FetchOptions
from udfs.sources.s3 import region_of, s3_client


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_PROFILE": "here"}, "eu-west-1"),
        ({"AWS_PROFILE": "here"}, "eu-west-3"),
        ({}, "us-east-1"),
    ],
)
def test_the_region_is_that_of_the_environment_or_the_profile(given, region, tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[profile here]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in (*REGION_VARIABLES, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert region_of(boto3.session.Session()) == region


def test_the_client_is_of_that_region(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr("udfs.sources.s3._clients", {})
    assert s3_client(FetchOptions(s3_access="anonymous")).meta.region_name == "eu-west-1"
