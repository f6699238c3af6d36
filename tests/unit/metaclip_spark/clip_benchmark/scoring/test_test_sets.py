"""Each kind of test set is found by looking; what is wrong with one is one clear line."""

import io
import tarfile
from collections import Counter

import pytest
from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES

from metaclip_spark.clip_benchmark.scoring.test_sets import open_test_set
from metaclip_spark.errors import ConfigError, InputError
from tests.support.clip_benchmark.scored_sets import (
    CLASSES,
    PICTURES,
    TEMPLATES,
    image_folder,
    in_order_of_classes,
    label,
    made_test_folder,
    webdataset_folder,
)
from tests.support.clip_benchmark.small_shards import caption, picture, png, write_tar

KINDS = {"image folder": image_folder, "webdataset folder": webdataset_folder, "test folder": made_test_folder}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_the_same_items_classes_and_prompts(tmp_path, kind):
    found = open_test_set(str(KINDS[kind](tmp_path / "data")), None)
    assert (found.kind, found.classes, found.templates, found.lost) == (kind, CLASSES, TEMPLATES, Counter())
    assert [item.label for item in found.items] == [label(number) for number in in_order_of_classes()]
    contents = []
    for item in found.items:
        with item.file.open("rb") as file:
            file.seek(item.start)
            contents.append(file.read() if item.size is None else file.read(item.size))
    assert contents == [png(picture(number)) for number in in_order_of_classes()]
    assert found.has_captions == (kind == "test folder")


def test_the_folder_of_a_pool_is_its_test_split(tmp_path):
    (tmp_path / "pool").mkdir()
    made_test_folder(tmp_path / "pool" / "test")
    assert open_test_set(str(tmp_path / "pool"), None).kind == "test folder"


def test_a_webdataset_folder_of_captions_needs_no_classes(tmp_path):
    found = open_test_set(str(webdataset_folder(tmp_path / "data", ("txt",))), None)
    assert found.classes == ()
    first = in_order_of_classes()[0]
    assert found.items[0].captions == (caption(first), f"no {first} bar")


def test_class_names_are_those_of_the_folders_where_there_is_no_list(tmp_path):
    folder = image_folder(tmp_path / "data")
    (folder / "classnames.txt").unlink()
    (folder / "templates.txt").unlink()
    found = open_test_set(str(folder), None)
    assert found.classes == tuple(f"{number} {name}" for number, name in enumerate(CLASSES))
    assert found.templates == tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
    assert len(found.templates) == 80 and len(IMAGENET_CLASSNAMES) == 1000
    file = tmp_path / "prompts.txt"
    file.write_text("the {c}\n\nthat {}\n")
    assert open_test_set(str(folder), str(file)).templates == ("the {}", "that {}")


def test_what_cannot_be_scored_is_counted(tmp_path):
    folder = image_folder(tmp_path / "images")
    (folder / "0_red" / "notes.csv").write_text("x")
    assert open_test_set(str(folder), None).lost == {"other_file": 1}
    folder = tmp_path / "tars"
    (folder / "test").mkdir(parents=True)
    samples = [{"png": png(picture(number)), "cls": b"0", "txt": b"a bar"} for number in range(4)]
    samples += [{"cls": b"0"}, {"png": b"x", "txt": b"a"}, {"png": b"x", "cls": b"0", "txt": b" \n \n"}]
    write_tar(folder / "test" / "0.tar", samples)
    (folder / "classnames.txt").write_text("red\n")
    found = open_test_set(str(folder), None)
    assert found.lost == {"member.missing": 2, "caption.empty": 1}
    assert len(found.items) == 4


def tar_without_end(path, samples):
    write_tar(path, samples)
    with tarfile.open(path) as tar:
        *_, last = tar
    path.write_bytes(path.read_bytes()[: last.offset_data + -(-last.size // 512) * 512])


def test_what_tars_lack_or_hold_twice_is_counted(tmp_path):
    folder = webdataset_folder(tmp_path / "data")
    labels = in_order_of_classes()
    samples = [{"png": png(picture(number)), "cls": b"%d" % label(number)} for number in labels]
    tar_without_end(folder / "test" / "0.tar", samples)
    # The same names once more.
    with tarfile.open(folder / "test" / "1.tar", "w") as tar:
        for name, content in [("a.png", b"1"), ("a.cls", b"0"), ("b.png", b"2"), ("b.cls", b"1"), ("a.png", b"3")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found = open_test_set(str(folder), None)
    assert found.lost == {"tar.truncated": 1, "member.duplicate": 1}
    assert len(found.items) == PICTURES + 2


@pytest.mark.parametrize(("write", "reason"), [(write_tar, "member.missing"), (tar_without_end, "tar.truncated")])
def test_what_the_index_has_and_a_tar_lacks_is_counted(tmp_path, write, reason):
    folder = made_test_folder(tmp_path / "data")
    samples = [
        {"png": png(picture(number)), "txt": caption(number).encode(), "cls": b"%d" % label(number)}
        for number in in_order_of_classes()
    ]
    write(folder / "00000.tar", samples[: PICTURES - 2])
    found = open_test_set(str(folder), None)
    assert (found.lost, len(found.items)) == ({reason: 2}, PICTURES - 2)


def truncated(path):
    path.write_bytes(path.read_bytes()[:2000])


def empty_class(folder):
    for file in (folder / "1_green").iterdir():
        file.unlink()


def two_classes(samples):
    def write(folder):
        write_tar(folder / "test" / "0.tar", samples)
        (folder / "test" / "nshards.txt").write_text("1")

    return write


FAULTS = {
    "no classnames": (
        webdataset_folder, lambda folder: (folder / "classnames.txt").unlink(), r"has no classnames\.txt: write a name",
    ),
    "no classnames of a split": (
        made_test_folder, lambda folder: (folder / "classnames.txt").unlink(), r"has no classnames\.txt",
    ),
    "empty class": (image_folder, empty_class, r"the class 'green' \(number 1\) has no picture: add some"),
    "empty class in tars": (
        webdataset_folder,
        lambda folder: (folder / "classnames.txt").write_text("\n".join([*CLASSES, "pink", "grey"])),
        r"the class 'pink' \(number 4\) has no picture, and 1 more have none",
    ),
    "count of classes": (
        image_folder, lambda folder: (folder / "classnames.txt").write_text("a\nb\n"), "has 2 names for 4 folders",
    ),
    "label out of range": (
        webdataset_folder,
        lambda folder: (folder / "classnames.txt").write_text("a\nb\nc\n"),
        r"a picture's class is 3, but classnames\.txt has 3 names, from 0 to 2",
    ),
    "negative label": (
        webdataset_folder, two_classes([{"png": b"x", "cls": b"-1"}]), "a picture's class is -1",
    ),
    "label that is no number": (
        webdataset_folder, two_classes([{"png": b"x", "cls": b"red"}]), "the class of 000000000 is 'red': it must be",
    ),
    "damaged tar": (webdataset_folder, lambda folder: truncated(folder / "test" / "0.tar"), "is not a readable tar"),
    "missing tar": (
        webdataset_folder, lambda folder: (folder / "test" / "1.tar").unlink(), r"1\.tar is missing: .* 2 tars",
    ),
    "count of tars": (
        webdataset_folder, lambda folder: (folder / "test" / "nshards.txt").write_text("two"), "holds 'two': it must",
    ),
    "damaged index": (made_test_folder, lambda folder: (folder / "shards.json").write_text("{}"), "no finished shards"),
    "prompt without a place": (
        image_folder, lambda folder: (folder / "templates.txt").write_text("a {}\na thing\n"), "prompt 2 is 'a thing'",
    ),
    "no prompt": (image_folder, lambda folder: (folder / "templates.txt").write_text("\n"), "holds no prompt"),
    "not UTF-8": (
        image_folder, lambda folder: (folder / "classnames.txt").write_bytes(b"caf\xe9"), "is not UTF-8 at byte 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_test_set_is_refused_in_one_line(tmp_path, fault):
    write, harm, message = FAULTS[fault]
    folder = write(tmp_path / "data")
    harm(folder)
    with pytest.raises(InputError, match=message) as refused:
        open_test_set(str(folder), None)
    assert "\n" not in str(refused.value)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is not a folder"):
        open_test_set(str(tmp_path / "none"), None)
    (tmp_path / "picture.png").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"holds neither shards\.json .* nor test/\*\.tar .* nor a folder"):
        open_test_set(str(tmp_path), None)


def test_a_text_of_megabytes_is_refused(tmp_path):
    folder = tmp_path / "data"
    (folder / "test").mkdir(parents=True)
    with tarfile.open(folder / "test" / "0.tar", "w") as tar:
        member = tarfile.TarInfo("0.cls")
        member.size = 2**20 + 1
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(InputError, match="more than any caption or class"):
        open_test_set(str(folder), None)
