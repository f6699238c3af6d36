"""What every store of objects can do: a local folder, S3, and what Hadoop reaches are one to those who keep a run.

Large tables are Spark's own business; here are the small objects that make tables count, which must be put whole, and
those that only one of many may create.
"""

from typing import Protocol


class ObjectStore(Protocol):
    """Objects below a root, by relative name. Each method may be called from several threads at once.

    Whatever a store says is an OSError: a FileNotFoundError where something must be there, a PermissionError where it
    may not be touched; its message names the place, without credentials.
    """

    @property
    def place(self) -> str:
        """The root, resolved: two stores of the same folder have the same, whatever their URLs."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Puts an object whole, over one that is there."""
        ...

    def put_once(self, name: str, content: bytes, timeout_seconds: float) -> None:
        """Puts an object as `put` does by one request without a retry, which a silent S3 server has so long for."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Creates an object; True only if the store has accepted this very request.

        False tells that the name was taken, whatever by: by the same content too, where an earlier answer was lost.
        """
        ...

    def read(self, name: str) -> bytes | None:
        """Reads an object; None where there is none."""
        ...

    def read_once(self, name: str, timeout_seconds: float) -> bytes | None:
        """Reads an object as `read` does by one request without a retry, which a silent S3 server has so long for."""
        ...

    def read_tail(self, name: str, size: int, length: int) -> bytes:
        """Reads the last bytes of an object of a known size, by one request; fewer where it is shorter than that.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Lists the names directly in a folder, sorted; empty where there is none."""
        ...

    def folders(self, folder: str) -> list[str]:
        """Lists the names of the folders directly in a folder, sorted; links to folders are left out."""
        ...

    def files(self, folder: str) -> dict[str, int]:
        """Lists all files below a folder with their bytes, by name relative to the root, sorted."""
        ...

    def delete(self, name: str) -> None:
        """Deletes an object, or a folder with all that is in it; nothing that only begins with the same letters."""
        ...


def start_of_tail(size: int, length: int) -> int:
    """Gives the first byte of an object's last `length` ones."""
    return max(0, size - length)
