"""Opens a test set of one of three kinds, which its folder shows.

test folder        shards.json, its tars, classnames.txt and templates.txt: the test split of a pool
webdataset folder  test/nshards.txt and test/*.tar, as LAION's CLIP_benchmark has them; classnames.txt where there are
                   classes, zeroshot_classification_templates.txt
image folder       a folder of pictures for each class; classnames.txt names them in the order of the sorted folders
"""

from collections import Counter
from pathlib import Path

from open_clip import OPENAI_IMAGENET_TEMPLATES

from metaclip_spark.clip_benchmark.data.shards import read_index
from metaclip_spark.clip_benchmark.reading.listing import Shard
from metaclip_spark.clip_benchmark.reading.samples import IMAGE_MEMBERS, INDEX_FILE
from metaclip_spark.clip_benchmark.scoring.items import OTHER_FILE, FoundItems, Kind, TestItem, TestSet
from metaclip_spark.clip_benchmark.scoring.tar_items import tar_items
from metaclip_spark.errors import ConfigError, InputError, brief

_CLASS_NAMES = "classnames.txt"
_TEMPLATES = ("templates.txt", "zeroshot_classification_templates.txt")
_SHARD_COUNT = "nshards.txt"


def open_test_set(data: str, templates: str | None) -> TestSet:
    """Opens the test set of a folder.

    Args:
        data: The folder.
        templates: File with prompts; without it those of the folder, or open_clip's 80.

    Raises:
        ConfigError: If the folder holds no test set, or the prompts are none.
        InputError: If something of it is missing or wrong.
    """
    folder = Path(data)
    kind = _kind_of(folder)
    if kind == "test folder" and not (folder / INDEX_FILE).is_file():
        folder /= "test"
    names = _lines(folder / _CLASS_NAMES) if (folder / _CLASS_NAMES).is_file() else ()
    if kind == "image folder":
        classes, found = _image_folder(folder, names)
    else:
        tars = _own_tars(folder) if kind == "test folder" else _webdataset_tars(folder / "test")
        classes, found = names, tar_items(tars)
    if not found.items:
        raise InputError(f"--data {data} holds no picture that can be scored ({dict(found.lost)})")
    if found.items[0].label is None:
        classes = ()
    else:
        _check_labels(data, classes, found.items)
    return TestSet(folder, kind, tuple(found.items), classes, _templates(folder, templates), found.lost)


def _kind_of(folder: Path) -> Kind:
    if not folder.is_dir():
        raise ConfigError(f"--data {folder} is not a folder")
    if (folder / INDEX_FILE).is_file() or (folder / "test" / INDEX_FILE).is_file():
        return "test folder"
    if (folder / "test" / _SHARD_COUNT).is_file() or next((folder / "test").glob("*.tar"), None):
        return "webdataset folder"
    if any(path.is_dir() for path in folder.iterdir()):
        return "image folder"
    raise ConfigError(
        f"--data {folder} holds neither shards.json (a test folder), nor test/*.tar (a webdataset folder), nor a "
        "folder of pictures for each class"
    )


def _own_tars(folder: Path) -> list[Shard]:
    return [Shard(str(folder / shard["name"]), shard["samples"]) for shard in read_index(folder)["shards"]]


def _webdataset_tars(folder: Path) -> list[Shard]:
    return [Shard(str(path)) for path in _numbered_tars(folder)]


def _numbered_tars(folder: Path) -> list[Path]:
    counted = folder / _SHARD_COUNT
    if not counted.is_file():
        return sorted(folder.glob("*.tar"), key=lambda path: (len(path.name), path.name))
    text = counted.read_text(encoding="utf-8").strip()
    if not text.isdecimal():
        raise InputError(f"{counted} holds {brief(text)}: it must be the number of tars")
    tars = [folder / f"{number}.tar" for number in range(int(text))]
    missing = next((path for path in tars if not path.is_file()), None)
    if missing:
        raise InputError(f"{missing} is missing: {counted} says that there are {text} tars")
    return tars


def _image_folder(folder: Path, names: tuple[str, ...]) -> tuple[tuple[str, ...], FoundItems]:
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if names and len(names) != len(folders):
        raise InputError(
            f"{folder / _CLASS_NAMES} has {len(names)} names for {len(folders)} folders: it must have one a line, in "
            "the order of the sorted folders"
        )
    items: list[TestItem] = []
    lost: Counter[str] = Counter()
    for label, path in enumerate(folders):
        for file in sorted(path.rglob("*")):
            if file.suffix[1:].lower() in IMAGE_MEMBERS:
                items.append(TestItem(file, 0, None, label, ()))
            elif file.is_file():
                lost[OTHER_FILE] += 1
    return names or tuple(path.name.replace("_", " ") for path in folders), FoundItems(items, lost)


def _check_labels(data: str, classes: tuple[str, ...], items: list[TestItem]) -> None:
    if not classes:
        raise InputError(
            f"--data {data} has no classnames.txt: write a name a line, in the order of the classes' numbers"
        )
    counts = Counter(item.label for item in items if item.label is not None)
    outside = [label for label in counts if not 0 <= label < len(classes)]
    if outside:
        raise InputError(
            f"--data {data}: a picture's class is {outside[0]}, but {_CLASS_NAMES} has {len(classes)} names, from 0 to "
            f"{len(classes) - 1}"
        )
    check_no_class_is_empty(data, classes, counts)


def check_no_class_is_empty(data: object, classes: tuple[str, ...], counts: Counter[int]) -> None:
    """Refuses a class without pictures, whose accuracy is no number.

    Raises:
        InputError: If there is one.
    """
    empty = [label for label in range(len(classes)) if not counts[label]]
    if empty:
        raise InputError(
            f"--data {data}: the class {classes[empty[0]]!r} (number {empty[0]}) has no picture"
            f"{f', and {len(empty) - 1} more have none' if empty[1:] else ''}: add some, or take its name out"
        )


def _templates(folder: Path, given: str | None) -> tuple[str, ...]:
    """Prompts with a pair of braces each; LAION's have the letter c between them."""
    of_folder = next((folder / name for name in _TEMPLATES if (folder / name).is_file()), None)
    file = Path(given) if given is not None else of_folder
    if file is None:
        return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
    templates = tuple(line.replace("{c}", "{}") for line in _lines(file) if line.strip())
    if not templates:
        raise InputError(f"{file} holds no prompt: write one a line, with {{}} for the class")
    for number, template in enumerate(templates, 1):
        if "{}" not in template:
            raise InputError(f"{file}: prompt {number} is {brief(template)}: it must have {{}} or {{c}} for the class")
    return templates


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}: convert it") from None
