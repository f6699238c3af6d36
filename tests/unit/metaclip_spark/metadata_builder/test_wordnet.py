"""WordNet's names, from its own files where they are installed and from small ones that a test makes."""

import os
import tarfile
from pathlib import Path

import pytest

from metaclip_spark.errors import ConfigError, InputError
from metaclip_spark.metadata_builder.entry_list import NUMBERS
from metaclip_spark.metadata_builder.wordnet import DATA_FILES, read_wordnet, synset_name

WORDNET = os.environ.get("METACLIP_WORDNET", "/usr/share/wordnet")


def small_wordnet(folder):
    """Writes data files of one synset each."""
    folder.mkdir(parents=True, exist_ok=True)
    lemmas = ["guide_dog", "Run", "galore(ip)", "U.S._style"]
    for name, lemma in zip(DATA_FILES, lemmas, strict=True):
        head = "  1 This software is provided as WordNet 3.0 \n"
        (folder / name).write_text(f"{head}00001740 03 n 01 {lemma} 0 000 | a gloss\n")
    return folder


@pytest.mark.skipif(not Path(WORDNET, "data.noun").is_file(), reason="no WordNet at METACLIP_WORDNET")
def test_wordnet_and_the_numbers_are_the_papers_86654_entries():
    wordnet = read_wordnet(WORDNET)
    assert (wordnet.version, wordnet.synsets) == ("3.0", 117_659)
    assert len(wordnet.names) == 86_554
    assert len({*NUMBERS, *wordnet.names}) == 86_654
    assert len(read_wordnet(WORDNET, "whole").names) == 86_571


@pytest.mark.parametrize(
    ("lemma", "published", "whole"),
    [
        ("guide_dog", "guide dog", "guide dog"),
        ("galore(ip)", "galore", "galore"),
        ("Washington_D.C.", "washington d", "washington d.c."),
        (".22", "", ".22"),
    ],
)
def test_names_of_synsets(lemma, published, whole):
    assert synset_name(lemma, "published") == published
    assert synset_name(lemma, "whole") == whole


def test_a_tar_gives_what_its_folder_gives(tmp_path):
    folder = small_wordnet(tmp_path / "deep" / "dict")
    with tarfile.open(tmp_path / "wordnet.tar.gz", "w:gz") as archive:
        archive.add(folder, "package/dict")
    found = read_wordnet(str(tmp_path / "wordnet.tar.gz"))
    assert found == read_wordnet(str(tmp_path))
    assert found.names == ("galore", "guide dog", "run", "u")
    assert (found.version, found.synsets) == ("3.0", 4)


def test_a_synset_ends_at_its_line_feed_alone(tmp_path):
    folder = small_wordnet(tmp_path)
    (folder / "data.noun").write_bytes("00001740 03 n 01 dog 0 000 | a\u2028gloss\x85of\x0bsigns\r\n".encode())
    assert read_wordnet(str(folder)).names == ("dog", "galore", "run", "u")


def test_what_is_no_wordnet_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file or folder"):
        read_wordnet(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match=r"holds no .*data\.noun.*wordnet-base"):
        read_wordnet(str(tmp_path))
    (tmp_path / "file").write_text("no tar")
    with pytest.raises(ConfigError, match="neither a folder nor a readable tar"):
        read_wordnet(str(tmp_path / "file"))
    folder = small_wordnet(tmp_path / "dict")
    (folder / "data.adj").write_text("garbage\n")
    with pytest.raises(InputError, match=r"line 1 of data\.adj"):
        read_wordnet(str(folder))
