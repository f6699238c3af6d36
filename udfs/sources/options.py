"""How remote archives are reached."""

import os
from dataclasses import dataclass

S3_ACCESS = ("signed", "anonymous", "requester-pays")
ENDPOINT_VARIABLES = ("METACLIP_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class FetchOptions:
    """How remote archives are reached. It travels from the driver to the workers, so it holds no credentials.

    Attributes:
        s3_access: signed (the usual chain of credentials), anonymous, or requester-pays.
        s3_endpoint: URL of an S3 server other than AWS; None for AWS, or what boto3's own settings say.
        attempts: Requests in a row that may fail before an archive is given up.
        first_delay_seconds: Wait before the second attempt; it doubles from one attempt to the next.
        longest_delay_seconds: Cap of a wait, also of one that a server asks for by Retry-After.
        timeout_seconds: Longest silence of a server.
    """

    s3_access: str = "signed"
    s3_endpoint: str | None = None
    attempts: int = 8
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 60.0
    timeout_seconds: float = 60.0


DEFAULT_OPTIONS = FetchOptions()


def s3_endpoint() -> str | None:
    """Returns the URL of the S3 server that the environment names; None for AWS."""
    return next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)


def aws_region() -> str | None:
    """Returns the region that the environment names, by the variables of the AWS SDKs; None where it names none."""
    return next((os.environ[name] for name in REGION_VARIABLES if os.environ.get(name)), None)


def environment_options(s3_access: str = "signed") -> FetchOptions:
    """Returns the options for requests to the S3 server that the environment names."""
    return FetchOptions(s3_access=s3_access, s3_endpoint=s3_endpoint())
