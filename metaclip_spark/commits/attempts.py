"""The folders that a driver writes to: each attempt has its own, named after the driver's `Open`."""

import re
import secrets
from collections.abc import Iterable

_NAME = re.compile(r"(\d{8})-[0-9a-f]{8}")
_NAME_OF_LAYOUT_1 = re.compile(r"wave=\d{5}-[0-9a-f]{8}")


def attempt_name(opened: int) -> str:
    """Gives a name that no other attempt has: the number of the driver's `Open`, and a nonce."""
    return f"{opened:08d}-{secrets.token_hex(4)}"


def number_of(folder: str) -> int | None:
    """Gives the number of the `Open` in a folder's name: 0 for a wave of layout 1; None where it has none."""
    name = folder.rpartition("/")[2]
    if _NAME_OF_LAYOUT_1.fullmatch(name):
        return 0
    found = _NAME.search(name)
    return int(found[1]) if found else None


def garbage(folders: Iterable[str], *, counting: set[str], named: set[str], opened: int) -> list[str]:
    """Lists the folders that cannot count any more, whoever deletes them and however late.

    That is a folder that the log has named and that no longer counts, and one that it has never named and whose driver
    came before this one: a later driver, and this one itself, may still name theirs.

    Args:
        folders: Folders of attempts.
        counting: Those that count.
        named: Those that the log has ever named.
        opened: The number of this driver's `Open`.

    Returns:
        Some of `folders`, in their order.
    """
    return [
        folder
        for folder in folders
        if folder not in counting
        and (folder in named or ((number := number_of(folder)) is not None and number < opened))
    ]


def lies_in_attempt(file: str, *, since: int = 1) -> bool:
    """Tells whether a file lies in the folder of an attempt that a log may name, of one `Open` or a later one."""
    return any((number_of(part) or 0) >= since for part in file.split("/")[:-1])
