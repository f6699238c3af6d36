"""The objects of a run on S3, through boto3 with the driver's credentials."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from metaclip_spark.stores.object_store import start_of_tail
from udfs.sources import FetchOptions
from udfs.sources.resume import TransientFetchError, refuse_whole_answer, with_retries
from udfs.sources.s3 import call_s3, list_pages, list_s3, split_s3

_KEYS_PER_DELETE = 1000
_TAKEN = 412
_AT_THE_SAME_TIME = 409
_BEYOND_THE_END = 416
_NOT_IMPLEMENTED = 501


class S3Store:
    """A prefix of an S3 bucket."""

    def __init__(self, root: str, options: FetchOptions) -> None:
        """Takes s3://bucket/prefix and how it is reached."""
        self._bucket, prefix = split_s3(root)
        self._prefix = prefix.strip("/")
        self._options = options

    @property
    def place(self) -> str:
        """See `ObjectStore`: Hadoop takes several slashes for one."""
        return "/".join(("s3:/", self._bucket, *(part for part in self._prefix.split("/") if part)))

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name.strip("/")) if part)

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def _call(self, name: str, method: str, **arguments: Any) -> Any:
        def request(client: Any) -> Any:
            return getattr(client, method)(Bucket=self._bucket, **arguments)

        return with_retries(lambda: call_s3(self._url(name), self._options, request), self._options)

    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        self._call(name, "put_object", Key=self._key(name), Body=content)

    def put_once(self, name: str, content: bytes, timeout_seconds: float) -> None:
        """See `ObjectStore`."""
        once = replace(self._options, timeout_seconds=timeout_seconds)
        call_s3(
            self._url(name), once, lambda c: c.put_object(Bucket=self._bucket, Key=self._key(name), Body=content)
        )  # fmt: skip

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`: a put with If-None-Match.

        Raises:
            OSError: It failed for another reason than that the name was taken.
        """

        def request(client: Any) -> bool:
            try:
                client.put_object(Bucket=self._bucket, Key=self._key(name), Body=content, IfNoneMatch="*")
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status == _TAKEN:
                    return False
                if status == _AT_THE_SAME_TIME:
                    raise TransientFetchError(f"{self._url(name)}: another creates it at the same time") from None
                if status == _NOT_IMPLEMENTED:
                    raise OSError(
                        f"{self._url(name)}: this server cannot create an object once (If-None-Match), so nothing "
                        "keeps two runs apart here: give another --output"
                    ) from None
                raise
            return True

        return with_retries(lambda: call_s3(self._url(name), self._options, request), self._options)

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`.

        Raises:
            FileNotFoundError: There is no such bucket.
        """
        return _or_none(lambda: self._get(name))

    def read_once(self, name: str, timeout_seconds: float) -> bytes | None:
        """See `ObjectStore`."""
        once = replace(self._options, timeout_seconds=timeout_seconds)
        return _or_none(lambda: call_s3(self._url(name), once, self._getting(name)))

    def read_tail(self, name: str, size: int, length: int) -> bytes:
        """See `ObjectStore`."""
        start = start_of_tail(size, length)
        return self._get(name, Range=f"bytes={start}-{size - 1}") if start < size else b""

    def _get(self, name: str, **part: str) -> bytes:
        request = self._getting(name, **part)
        return with_retries(lambda: call_s3(self._url(name), self._options, request), self._options)

    def _getting(self, name: str, **part: str) -> Callable[[Any], bytes]:
        def request(client: Any) -> bytes:
            try:
                answer = client.get_object(Bucket=self._bucket, Key=self._key(name), **part)
            except ClientError as error:
                if part and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _BEYOND_THE_END:
                    return b""
                raise
            if part and "ContentRange" not in answer:
                answer["Body"].close()
                refuse_whole_answer(self._url(name), is_tagged="ETag" in answer)
            content: bytes = answer["Body"].read()
            if len(content) != answer["ContentLength"] or "ETag" not in answer:
                raise TransientFetchError(f"{self._url(name)}: the answer broke off")
            return content

        return request

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        return self._listed(folder, {"CommonPrefixes": "Prefix", "Contents": "Key"})

    def folders(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        return self._listed(folder, {"CommonPrefixes": "Prefix"})

    def _listed(self, folder: str, kinds: Mapping[str, str]) -> list[str]:
        prefix = f"{self._key(folder)}/" if self._key(folder) else ""
        pages = self._pages(folder, Prefix=prefix, Delimiter="/")
        found = {item[name] for page in pages for kind, name in kinds.items() for item in page.get(kind, [])}
        # Hadoop leaves empty keys that end with "/" for folders.
        return sorted(name for key in found if (name := key.removeprefix(prefix).rstrip("/")))

    def _pages(self, name: str, **listing: str) -> Iterator[dict[str, Any]]:
        return list_pages(self._url(name), self._options, Bucket=self._bucket, **listing)

    def files(self, folder: str) -> dict[str, int]:
        """See `ObjectStore`."""
        cut = len(self._prefix) + 1 if self._prefix else 0
        return dict(sorted((key[cut:], size) for key, size in list_s3(f"{self._url(folder)}/", self._options)))

    def delete(self, name: str) -> None:
        """See `ObjectStore`.

        Raises:
            PermissionError: Something may not be deleted.
        """
        below = self._pages(name, Prefix=f"{self._key(name)}/")
        found = {item["Key"] for page in below for item in page.get("Contents", [])}
        # Servers over a file system delete a folder's key, which Hadoop leaves at any depth, only when it is empty.
        keys = sorted({self._key(name), f"{self._key(name)}/", *found}, reverse=True)
        for start in range(0, len(keys), _KEYS_PER_DELETE):
            named = [{"Key": key} for key in keys[start : start + _KEYS_PER_DELETE]]
            answer = self._call(name, "delete_objects", Delete={"Objects": named, "Quiet": True})
            # Some servers refuse to delete what somebody else has deleted a moment ago.
            refused = [error for error in answer.get("Errors", []) if error["Code"] != "NoSuchKey"]
            if refused:
                first = refused[0]
                raise PermissionError(f"s3://{self._bucket}/{first['Key']}: cannot be deleted: {first['Code']}")

    def unfinished_uploads(self) -> list[tuple[str, str]]:
        """Lists (key, upload id) of the multipart uploads below the root that were neither completed nor aborted."""
        found: list[tuple[str, str]] = []
        markers: dict[str, str] = {}
        while True:
            page = self._call("", "list_multipart_uploads", Prefix=f"{self._prefix}/", **markers)
            found += [(item["Key"], item["UploadId"]) for item in page.get("Uploads", [])]
            if not page.get("IsTruncated"):
                return found
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def name_of(self, key: str) -> str:
        """Gives the name below the root of a key."""
        return key.removeprefix(f"{self._prefix}/")

    def abort_uploads(self, uploads: list[tuple[str, str]]) -> None:
        """Aborts multipart uploads, given as (key, upload id): their parts are billed until then."""
        for key, upload in uploads:
            # Another driver may have completed or aborted it meanwhile.
            with suppress(FileNotFoundError):
                self._call("", "abort_multipart_upload", Key=key, UploadId=upload)

    def abort_uploads_below(self, folders: Sequence[str]) -> None:
        """Aborts the unfinished multipart uploads below folders."""
        below = tuple(f"{self._key(folder)}/" for folder in folders)
        self.abort_uploads([upload for upload in self.unfinished_uploads() if upload[0].startswith(below)])

    def region(self) -> str:
        """Gives the region of the bucket, such as us-east-1."""
        return str(self._call("", "get_bucket_location").get("LocationConstraint") or "us-east-1")


def _or_none(read: Callable[[], bytes]) -> bytes | None:
    try:
        return read()
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise
        return None
