"""Rules for the URL of an image.

`image_url` is what `urllib.parse.urljoin` returns, so that other tools can repeat it.
"""

import re
from urllib.parse import urljoin, urlsplit

import numpy as np
import numpy.typing as npt

from udfs.arrow import replace_lone_surrogates

_NAME = "[A-Za-z0-9_~%+,@=-][A-Za-z0-9_.~%+,@=-]*"
_BASE_WITH_FOLDER = re.compile(
    f"(https?://[A-Za-z0-9-][A-Za-z0-9.-]*(?::[0-9]+)?/)((?:{_NAME}/)*)(?:[A-Za-z0-9_.~%+,@=!$&'()*-]*)(?:[?#].*)?",
    re.DOTALL,
)
"""A base of which only the folder matters to a path that is appended."""


def plain_folder(base_url: str) -> tuple[npt.NDArray[np.uint8], int]:
    """Returns what a plain path is appended to, so that a compiled loop can resolve it.

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
    """Resolves an image's `src`; only http and https with a host is kept.

    Returns:
        The image's URL and "", or None and the reason of its loss (`image.*`).
    """
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
