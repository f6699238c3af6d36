"""Rules for the URL of an image.

`image_url` is what `urllib.parse.urljoin` returns, so that other tools can repeat it.
"""

import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

import numpy as np
import numpy.typing as npt

from udfs.arrow import replace_lone_surrogates

_SEGMENT = "[A-Za-z0-9_.~%+,@=-]+"
_NAME = "[A-Za-z0-9_~%+,@=-][A-Za-z0-9_.~%+,@=-]*"
_PLAIN = re.compile(f"((?:(?:https?:)?//[A-Za-z0-9.:-]+/|/)?(?:{_SEGMENT}/+)*)({_NAME})")
"""A folder and a name, in characters that mean nothing else. The name is neither "." nor ".."."""

_PLAIN_BASE = re.compile(f"(https?://[A-Za-z0-9-][A-Za-z0-9.-]*/)((?:{_NAME}/)*)")
_BASE_WITH_FOLDER = re.compile(
    f"(https?://[A-Za-z0-9-][A-Za-z0-9.-]*(?::[0-9]+)?/)((?:{_NAME}/)*)(?:[A-Za-z0-9_.~%+,@=!$&'()*-]*)(?:[?#].*)?",
    re.DOTALL,
)
"""A base of which only the folder matters to a path that is appended."""

_PLAIN_FOLDER = re.compile(rf"(/?)((?:\.\./)*)((?:{_NAME}/)*)")
_REMEMBERED_FOLDERS = 4096
_LONGEST_FOLDER = 1024


def plain_folder(base_url: str) -> tuple[npt.NDArray[np.uint8], int]:
    """Gives what a plain path is appended to, so that a compiled loop can resolve it.

    Args:
        base_url: What `join_base` returned.

    Returns:
        The bytes of the base without what follows its path's last slash, and where in it the path begins, behind the
        first slash. No bytes and 0 where the base is not http or https, or has a path that urljoin does not keep as it
        is; no bytes and -1 where it cannot be parsed, so that no URL can be resolved against it.
    """
    base = _BASE_WITH_FOLDER.fullmatch(base_url)
    if base is not None:
        return np.frombuffer(f"{base[1]}{base[2]}".encode(), np.uint8), len(base[1])
    try:
        urlsplit(base_url)
    except ValueError:
        return np.empty(0, np.uint8), -1
    return np.empty(0, np.uint8), 0


def resolve_image_url(base_url: str, src: str) -> tuple[str | None, str]:
    """Resolves an image's `src` and says whether it can be kept.

    Args:
        base_url: What `join_base` returned.
        src: The attribute's value, entities decoded.

    Returns:
        The image's URL and "", or None and the reason of its loss (`image.*`). Only http and https with a host is kept.
    """
    plain = _PLAIN.fullmatch(src)
    if plain is not None and max(plain.end(1), len(base_url)) < _LONGEST_FOLDER:
        folder = _resolve_folder(_folder_of(base_url), plain[1])
        if folder is not None:
            return folder + plain[2], ""
    return _resolve(base_url, src)


@lru_cache(_REMEMBERED_FOLDERS)
def _folder_of(base_url: str) -> str:
    """Cuts a base behind its last slash where nothing but its path can matter, so that more bases are the same."""
    folder = base_url[: base_url.rfind("/") + 1]
    is_path = not folder.endswith("//") and "?" not in base_url and "#" not in base_url and ";" not in base_url
    return folder if is_path else base_url


@lru_cache(_REMEMBERED_FOLDERS)
def _resolve_folder(base_url: str, folder: str) -> str | None:
    """Resolves what stands before a plain name, once for all images of a folder, and without urljoin where it is easy.

    Returns:
        What the name is to be appended to; None for URLs that are not kept, whose reasons may depend on the name.
    """
    base, plain = _PLAIN_BASE.fullmatch(base_url), _PLAIN_FOLDER.fullmatch(folder)
    if base is None or plain is None:
        url, _ = _resolve(base_url, f"{folder}x")
        return None if url is None else url[:-1]
    path = "" if plain[1] else base[2]
    for _ in range(plain[2].count("../")):
        path = path[: path.rfind("/", 0, -1) + 1]
    return f"{base[1]}{path}{plain[3]}"


def _resolve(base_url: str, src: str) -> tuple[str | None, str]:
    start = src[:16].lstrip()
    if not start and not src.strip():
        return None, "image.no_url"
    if start.startswith("#"):
        return None, "image.only_fragment"
    if start[:5].lower() == "data:":
        return None, "image.data_url"
    try:
        url = replace_lone_surrogates(urljoin(base_url, src))
        parts = urlsplit(url)
    except ValueError:
        return None, "image.unparsable_url"
    if parts.scheme not in {"http", "https"}:
        return None, "image.not_http"
    return (url, "") if parts.hostname else (None, "image.no_host")
