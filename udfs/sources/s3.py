"""Archives on S3, through boto3: signed, anonymous or requester pays, on AWS or another endpoint."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import botocore.exceptions
import urllib3.exceptions
from botocore import UNSIGNED
from botocore.config import Config
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from udfs.sources.credentials import has_credentials, without_credentials
from udfs.sources.options import FetchOptions, aws_region
from udfs.sources.resume import (
    ArchiveChangedError,
    RefusedConnectionError,
    RemoteBody,
    TransientFetchError,
    is_refused,
    refuse_whole_answer,
    seconds_to_wait,
    size_by_range,
    with_retries,
)

SCHEMES = ("s3", "s3a", "s3n")
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "RequestExpired"}
_TRANSIENT = {
    "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "RequestTimeout",
    "InternalError", "ServiceUnavailable", "429", "500", "502", "503", "504",
}  # fmt: skip
_CHANGED = {"PreconditionFailed", "412"}
_CLOCK = {"RequestTimeTooSkewed"}
_MISSING = {"NoSuchKey": "there is no such key", "404": "there is no such bucket or key"}
_NO_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
)
_FRESH_CLIENTS = 2

Result = TypeVar("Result")

_clients: dict[FetchOptions, Any] = {}
_lock = threading.Lock()


class _CredentialsError(PermissionError):
    """Credentials are missing or expired: a fresh client may find better ones."""


def split_s3(path: str) -> tuple[str, str]:
    """Splits s3://bucket/key; its characters stand for themselves ("+" is a plus sign, "%20" three characters).

    Raises:
        ValueError: The URL names no bucket, or holds credentials, which are not read from there.
    """
    if has_credentials(path):
        raise ValueError(
            f"{without_credentials(path)!r} was given with credentials in it, which processes and logs would show: "
            "leave them out, and give them by the environment, a profile or a role"
        )
    bucket, _, key = path.partition("://")[2].partition("/")
    if not bucket or path.partition("://")[0].lower() not in SCHEMES:
        raise ValueError(f"{path!r} names no S3 bucket: write s3://bucket/key")
    return bucket, key


def s3_client(options: FetchOptions) -> Any:
    """Returns this process's boto3 client, which retries nothing by itself, made anew after its credentials expired."""
    import boto3

    with _lock:
        if options not in _clients:
            signature = {"signature_version": UNSIGNED} if options.s3_access == "anonymous" else {}
            config = Config(
                connect_timeout=min(10.0, options.timeout_seconds),
                read_timeout=options.timeout_seconds,
                # As many as the threads that ask for footers at once; any above it would connect anew each time.
                max_pool_connections=32,
                retries={"mode": "standard", "total_max_attempts": 1},
                s3={"addressing_style": "path"} if options.s3_endpoint else {},
                **signature,
            )
            session = boto3.session.Session()
            _clients[options] = session.client(
                "s3", endpoint_url=options.s3_endpoint, region_name=region_of(session), config=config
            )
        return _clients[options]


def region_of(session: Any) -> str:
    """Gives the region of a boto3 session's clients; boto3 itself does not read AWS_REGION."""
    return aws_region() or session.region_name or "us-east-1"


def forget_client(options: FetchOptions) -> None:
    """Drops this process's client, so that the next one reads credentials anew."""
    with _lock:
        _clients.pop(options, None)


def call_s3(path: str, options: FetchOptions, request: Callable[[Any], Result]) -> Result:
    """Sends a request to S3, with a fresh client where credentials have expired.

    Args:
        path: What it is about, for messages.
        options: Access and endpoint.
        request: Calls a method of the client it is given.

    Returns:
        What the request returns.

    Raises:
        TransientFetchError: It may go well at the next attempt.
        ArchiveChangedError: The object's ETag is another.
        PermissionError: It is not allowed.
        FileNotFoundError: There is no such bucket or key.
        OSError: Any other answer of the server.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(_CredentialsError),
        stop=stop_after_attempt(1 + _FRESH_CLIENTS),
        after=lambda _state: forget_client(options),
        retry_error_callback=_refuse_credentials,
    )
    answer: Result = attempts(_translated, path, options, request)
    return answer


def _refuse_credentials(state: RetryCallState) -> Any:
    raise PermissionError(str(state.outcome.exception() if state.outcome else "")) from None


def _translated(path: str, options: FetchOptions, request: Callable[[Any], Result]) -> Result:
    try:
        return request(s3_client(options))
    except botocore.exceptions.ClientError as error:
        raise _error_of_answer(path, error) from None
    except _NO_CREDENTIALS as error:
        raise _CredentialsError(
            f"{path}: no usable AWS credentials ({error}): give this machine a role or credentials, or use "
            "--s3-access anonymous for public buckets"
        ) from None
    except botocore.exceptions.ParamValidationError as error:
        raise OSError(f"{path}: {error}") from None
    except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError, ConnectionError) as error:
        if is_refused(error):
            raise RefusedConnectionError(path, str(getattr(error, "kwargs", {}).get("endpoint_url", ""))) from None
        raise TransientFetchError(f"{path}: {error!r}") from None


def _error_of_answer(path: str, error: botocore.exceptions.ClientError) -> OSError:  # noqa: PLR0911 - a table
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"{code} ({status})"
    if code in _EXPIRED:
        return _CredentialsError(
            f"{path}: the AWS credentials have expired, {said}: renew them and run again with --resume"
        )
    if code in _CHANGED:
        return ArchiveChangedError(f"{path} has changed while it was read, {said}: run again when it is complete")
    if code in _CLOCK:
        return PermissionError(f"{path}: {said}: this machine's clock is wrong; set it (NTP) and run again")
    if code in _TRANSIENT or status >= 500 or status == 429:  # noqa: PLR2004 - HTTP's own numbers
        return TransientFetchError(f"{path}: {said}", retry_after(answer.get("ResponseMetadata", {})))
    if code in _MISSING or code == "NoSuchBucket":
        what = _MISSING.get(code, "there is no such bucket")
        return FileNotFoundError(f"{path}: {what}, {said}: check the bucket and the key")
    if status in {301, 307, 400} and code in {"301", "307", "PermanentRedirect", "AuthorizationHeaderMalformed"}:
        return OSError(f"{path}: {said}: the bucket lies in another region; set AWS_REGION to the bucket's region")
    if status in {401, 403}:
        return PermissionError(
            f"{path}: {said}: no permission; check the credentials and the bucket's policy, or give --s3-access "
            "requester-pays or anonymous where the bucket asks for it"
        )
    return OSError(f"{path}: {said}: {answer.get('Error', {}).get('Message', '')}")


def retry_after(metadata: dict[str, Any]) -> float | None:
    """Reads from boto3's ResponseMetadata how many seconds a server asks to wait, if it does."""
    return seconds_to_wait(str(metadata.get("HTTPHeaders", {}).get("retry-after", "")))


def open_s3_body(path: str, options: FetchOptions, start: int, etag: str) -> RemoteBody:
    """Asks for an object from a byte on.

    Raises:
        TransientFetchError: It may go well at the next attempt.
        OSError: The object cannot be opened; see `call_s3`.
    """
    bucket, key = split_s3(path)
    conditions = {"IfMatch": etag} if etag else {}
    part = {"Range": f"bytes={start}-"} if start else {}
    answer = call_s3(
        path,
        options,
        lambda client: client.get_object(Bucket=bucket, Key=key, **conditions, **part, **_payer(options)),
    )
    size = int(answer["ContentLength"])
    if "ContentRange" in answer:
        try:
            size = int(size_by_range(path, answer["ContentRange"], start))
        except TransientFetchError:
            answer["Body"].close()
            raise
    elif start:
        answer["Body"].close()
        refuse_whole_answer(path, is_tagged="ETag" in answer)
    return RemoteBody(path, answer["Body"], size, str(answer.get("ETag", "")))


def stat_s3(path: str, options: FetchOptions) -> tuple[int, str]:
    """Looks up the bytes and the ETag of an object."""
    bucket, key = split_s3(path)

    def look() -> tuple[int, str]:
        try:
            answer = call_s3(
                path, options, lambda client: client.head_object(Bucket=bucket, Key=key, **_payer(options))
            )
        except (FileNotFoundError, TransientFetchError):
            raise
        except OSError:
            # The answer to HEAD has no body, so it cannot say what is wrong: GET does.
            with open_s3_body(path, options, 0, "") as body:
                return body.size, body.etag
        return int(answer["ContentLength"]), str(answer["ETag"])

    return with_retries(look, options)


def list_s3(path: str, options: FetchOptions) -> Iterator[tuple[str, int]]:
    """Lists key and bytes of the objects below s3://bucket/prefix; keys that end with "/" stand for folders."""
    bucket, prefix = split_s3(path)
    for page in list_pages(path, options, Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                yield str(found["Key"]), int(found["Size"])


def list_pages(path: str, options: FetchOptions, **listing: str) -> Iterator[dict[str, Any]]:
    """Yields the answers of boto3's list_objects_v2, whose arguments `listing` are, page by page."""
    token: dict[str, str] = {}
    while True:
        page = with_retries(lambda: _list_page(path, options, {**listing, **token}), options)  # noqa: B023 - called here
        yield page
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def _list_page(path: str, options: FetchOptions, listing: dict[str, str]) -> dict[str, Any]:
    def request(client: Any) -> dict[str, Any]:
        return dict(client.list_objects_v2(**listing, **_payer(options)))

    return call_s3(path, options, request)


def _payer(options: FetchOptions) -> dict[str, str]:
    return {"RequestPayer": "requester"} if options.s3_access == "requester-pays" else {}
