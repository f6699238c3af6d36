"""The objects of a run in a folder of this machine, or of a file system that it shares with others."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaclip_spark.stores.object_store import start_of_tail

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


class LocalStore:
    """A folder of a file system that driver and executors share."""

    def __init__(self, root: Path) -> None:
        """Takes the folder, absolute."""
        self._root = root

    @property
    def place(self) -> str:
        """See `ObjectStore`."""
        return os.path.realpath(self._root)

    def put(self, name: str, content: bytes) -> None:
        """See `ObjectStore`."""
        with _hidden(self._root / name, content) as partial:
            partial.replace(self._root / name)

    def put_once(self, name: str, content: bytes, timeout_seconds: float) -> None:  # noqa: ARG002 - for S3
        """See `ObjectStore`."""
        self.put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """See `ObjectStore`.

        Raises:
            OSError: The file system has no hard links, or says so for another reason.
        """
        path = self._root / name
        with _hidden(path, content) as partial:
            try:
                # A link fails where the name is taken, as O_EXCL does, and shows the object only whole.
                os.link(partial, path)
            except FileExistsError:
                return False
            except OSError as error:
                raise OSError(error.errno, self._why_not_created(error)) from None
            _sync_folder(path.parent)
        return True

    def _why_not_created(self, error: OSError) -> str:
        if error.errno not in _NO_LINKS:
            return f"{self._root}: no file can be created: {error.strerror}"
        return (
            f"{self._root}: this file system cannot create a file once (no hard links: {error.strerror}), so nothing "
            "keeps two runs apart here: give another --output"
        )

    def read(self, name: str) -> bytes | None:
        """See `ObjectStore`."""
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_once(self, name: str, timeout_seconds: float) -> bytes | None:  # noqa: ARG002 - for S3
        """See `ObjectStore`."""
        return self.read(name)

    def read_tail(self, name: str, size: int, length: int) -> bytes:
        """See `ObjectStore`."""
        with (self._root / name).open("rb") as file:
            file.seek(start_of_tail(size, length))
            return file.read(min(size, length))

    def names(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        try:
            return sorted(path.name for path in (self._root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def folders(self, folder: str) -> list[str]:
        """See `ObjectStore`."""
        try:
            with os.scandir(self._root / folder) as found:
                return sorted(each.name for each in found if each.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: str) -> dict[str, int]:
        """See `ObjectStore`."""
        return dict(sorted(self._files_below(folder)))

    def _files_below(self, folder: str) -> Iterator[tuple[str, int]]:
        for below, _, names in os.walk(self._root / folder, onerror=_raise_unless_gone):
            for name in names:
                path = Path(below, name)
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    # Deleted since it was listed.
                    continue
                yield path.relative_to(self._root).as_posix(), size

    def delete(self, name: str) -> None:
        """See `ObjectStore`."""
        path = self._root / name
        while path.is_dir() and not path.is_symlink():
            try:
                shutil.rmtree(path)
            except FileNotFoundError:
                # Another deletes the same: what it has left, it or this one deletes.
                continue
        path.unlink(missing_ok=True)


@contextmanager
def _hidden(path: Path, content: bytes) -> Iterator[Path]:
    """Gives a whole file beside a path, with a name that readers pass over; afterwards it is not there any more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            # A disk that is full does not say where.
            error.filename = error.filename or str(path.parent)
            raise
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a new name outlive a power failure, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error
