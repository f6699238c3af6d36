"""Real drawings with captions from two Debian packages, rendered when asked for: nothing of theirs is kept here.

openclipart-svg has drawings with an English title, tuxpaint-stamps-default stamps with a caption in up to sixty
languages. A drawing's class is its top folder. Like a crawl, the pool has captions in other languages, too; our own
curation must leave them out. Pool and test split share no title, since many drawings have the same one. The captions
are real, and there is one set of them: a seed draws which titles are tested, and the pool is the rest.
"""

import hashlib
import importlib.util
import io
import json
import re
import shutil
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from PIL import Image

from metaclip_spark.clip_benchmark.data.pools.pool_folder import METADATA_FILE, PAIRS_FILE, POOL_FILE, TEST_FOLDER
from metaclip_spark.clip_benchmark.data.pools.test_split import write_test_split
from metaclip_spark.clip_benchmark.data.shards import ShardSample
from metaclip_spark.clip_benchmark.settings.data_config import PACKAGES, DrawingsConfig
from metaclip_spark.config.command_line import one_line
from metaclip_spark.config.fields import check_made_with
from metaclip_spark.errors import ConfigError, CurationError
from metaclip_spark.stores.storage import Storage
from udfs.pairs.rules import pair_id

_FOLDERS = {"openclipart": "usr/share/openclipart/svg", "tuxpaint": "usr/share/tuxpaint/stamps"}
TEMPLATES = ("a drawing about {}", "a picture of {}", "clip art: {}", "a stamp about {}", "{}", "an image of {}")

_TITLE = re.compile(rb"<dc:title[^>]*>([^<]{1,300})</dc:title>")
_OTHER_LANGUAGE = re.compile(r"([a-zA-Z_@]+)\.utf8=(.+)")
_WORD = re.compile(r"[A-Za-z][a-z]{2,}")
_URL = "https://drawings.invalid/{name}"
_RENDER_SECONDS = 20
"""Longest time of a processor for one drawing. No clock decides, as a paused machine would lose drawings to it."""

_RENDER_KIB = 4 << 20
"""Most address space for one drawing, so that one that takes all memory is told from a machine that is short of it."""

_FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
"""What ends a renderer without the drawing's doing. The kernel sends SIGKILL where memory is short."""

_NOT_STARTED = (126, 127)
_SIGNAL = 128
"""Exit statuses of a shell: a program that cannot be run, and what it adds to the number of a signal."""


@dataclass(frozen=True, order=True)
class Drawing:
    """One drawing: its class, its title, its file, and its captions in other languages."""

    class_name: str
    title: str
    file: Path
    others: tuple[str, ...] = ()


def make_drawings(folder: Path, config: DrawingsConfig, source: Path, seed: int = 0) -> dict[str, int]:
    """Renders the drawings into a pool with a test split; `pool.json` last, which makes it count.

    Args:
        folder: Of the pool.
        config: What it is made from.
        source: Folder for fetched packages and rendered drawings, which the pools of all seeds share.
        seed: Draws the titles of the test split.

    Returns:
        Drawings found, and reason -> drawings left out: found = pool + test + the reasons.

    Raises:
        ConfigError: If the packages or the renderer are not there.
        OutputExistsError: If a finished pool has other settings.
    """
    # A folder that is not given is written as it was before it could be None.
    settings = {name: "" if value is None else value for name, value in asdict(config).items()} | {"seed": seed}
    if (folder / POOL_FILE).exists():
        made = json.loads((folder / POOL_FILE).read_text(encoding="utf-8"))
        check_made_with(made["settings"], settings, folder)
        return dict(made["counts"])
    check_renderer()
    sources = {name: _source(source, name, getattr(config, name)) for name in PACKAGES}
    found = sorted([*openclipart_drawings(sources["openclipart"]), *tuxpaint_stamps(sources["tuxpaint"], config)])
    counts: Counter[str] = Counter(found=len(found))
    chosen = _distinct_titles(found, counts)
    pool, test = split_by_title(chosen, config.drawing_test_titles, counts, seed)
    render = _Renderer(source / "rendered", config.drawing_pixels)
    if len({drawing.class_name for drawing in test}) < 2:  # noqa: PLR2004 - one class tells nothing
        raise ConfigError(f"{len(found)} drawings give fewer than two classes: lower --drawing-test-titles")
    rows = list(_pool_rows(folder, pool, render, counts))
    storage = Storage(str(folder))
    storage.put_table(PAIRS_FILE, pa.Table.from_pylist(rows))
    storage.put_json(METADATA_FILE, metadata_words([str(row["alt_text"]) for row in rows if not row["language"]]))
    in_pool = Counter(drawing.class_name for drawing in pool)
    classes = sorted({drawing.class_name for drawing in test})
    samples = _test_samples(test, classes, render, counts)
    write_test_split(folder / TEST_FOLDER, classes, TEMPLATES, [in_pool[name] for name in classes], samples)
    storage.put_json(POOL_FILE, {"settings": settings, "counts": dict(counts)})
    return dict(counts)


def openclipart_drawings(folder: Path) -> Iterator[Drawing]:
    """Finds openclipart's drawings: the title that stands in the file, else the file's name."""
    for file in sorted(folder.rglob("*.svg")):
        title = _TITLE.search(file.read_bytes())
        text = title[1].decode("utf-8", "replace").strip() if title else ""
        yield Drawing(file.relative_to(folder).parts[0].replace("_", " "), text or _name_as_title(file), file)


def tuxpaint_stamps(folder: Path, config: DrawingsConfig) -> Iterator[Drawing]:
    """Finds Tux Paint's stamps: the English caption, and some others, which the file's name draws."""
    for file in sorted([*folder.rglob("*.svg"), *folder.rglob("*.png")]):
        caption = file.with_suffix(".txt")
        if not caption.exists():
            continue
        lines = caption.read_text(encoding="utf-8", errors="replace").splitlines()
        others = [found[2].strip() for line in lines[1:] if (found := _OTHER_LANGUAGE.match(line))]
        others.sort(key=lambda text: _hash(f"{file.name}\0{text}"))
        name = file.relative_to(folder).parts[0].replace("_", " ")
        title = lines[0].strip() if lines else ""
        yield Drawing(name, title or _name_as_title(file), file, tuple(others[: config.other_languages]))


def split_by_title(
    drawings: Sequence[Drawing], test_titles: int, counts: Counter[str], seed: int = 0
) -> tuple[list[Drawing], list[Drawing]]:
    """Splits drawings, one for each class and title, into pool and test split so that no title is in both.

    The test split has `test_titles` drawings of each class, drawn by the seed. `counts` gets the drawings of classes
    that are too small, and those whose title is in another class's test.
    """
    by_class: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in drawings:
        by_class[drawing.class_name].append(drawing)
    large = {name: found for name, found in by_class.items() if len(found) >= 4 * test_titles}
    counts["class_too_small"] = sum(len(found) for name, found in by_class.items() if name not in large)
    test = [
        drawing
        for name in sorted(large)
        for drawing in sorted(large[name], key=lambda drawing: _hash(f"{seed}\0{_key(drawing.title)}"))[:test_titles]
    ]
    in_test = {_key(drawing.title) for drawing in test}
    rest = [drawing for name in sorted(large) for drawing in large[name] if drawing not in set(test)]
    pool = [drawing for drawing in rest if _key(drawing.title) not in in_test]
    counts["title_in_test"] = len(rest) - len(pool)
    return pool, test


def metadata_words(captions: Sequence[str]) -> list[str]:
    """A metadata list from English captions: words of at least three letters that two captions have."""
    counts = Counter(word for caption in captions for word in set(_WORD.findall(caption)))
    return sorted(word for word, count in counts.items() if count > 1)


def check_renderer() -> None:
    """Refuses to go on without a renderer of SVG files."""
    if importlib.util.find_spec("cairosvg") is None and shutil.which("rsvg-convert") is None:
        raise ConfigError("no SVG renderer found: apt-get install librsvg2-bin, or pip install cairosvg")


def rendered(file: Path, pixels: int) -> bytes | None:
    """A PNG of a drawing, whole, in the middle of a white square; None where it cannot be rendered or shows nothing.

    Raises:
        CurationError: The machine ended the renderer, so that nothing is known of the drawing.
    """
    try:
        content = _svg_as_png(file, 2 * pixels) if file.suffix == ".svg" else file.read_bytes()
        with Image.open(io.BytesIO(content)) as opened:
            image = opened.convert("RGBA")
    except CurationError:
        raise
    except MemoryError:
        raise CurationError(f"memory is too short to render {file}: see that it suffices") from None
    except Exception:
        # Broken drawings make the renderers raise nearly anything; the caller counts them.
        return None
    if image.getchannel("A").getextrema()[1] == 0:
        return None
    image.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (pixels, pixels), "white")
    square.alpha_composite(image, ((pixels - image.width) // 2, (pixels - image.height) // 2))
    buffer = io.BytesIO()
    square.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


class _Renderer:
    """Renders each drawing once, whatever the number of pools that it is in."""

    def __init__(self, folder: Path, pixels: int) -> None:
        self._storage, self._folder, self._pixels = Storage(str(folder)), folder, pixels

    def __call__(self, file: Path) -> bytes | None:
        name = f"{hashlib.sha256(file.read_bytes()).hexdigest()}-{self._pixels}.png"
        if not (self._folder / name).exists():
            # An empty file stands for a drawing that cannot be rendered.
            self._storage.put_bytes(name, rendered(file, self._pixels) or b"")
        return (self._folder / name).read_bytes() or None


def _svg_as_png(file: Path, pixels: int) -> bytes:
    if shutil.which("rsvg-convert"):
        return _by_rsvg_convert(file, str(pixels))
    import cairosvg  # noqa: PLC0415 - the one of two renderers that need not be there

    return bytes(cairosvg.svg2png(bytestring=file.read_bytes(), output_width=pixels))


def _by_rsvg_convert(file: Path, side: str) -> bytes:
    """A PNG, which is empty where the drawing is broken or takes more than it may."""
    command = ["rsvg-convert", "--keep-aspect-ratio", "--width", side, "--height", side, str(file)]
    limited = ["sh", "-c", f'ulimit -S -t {_RENDER_SECONDS}; ulimit -S -v {_RENDER_KIB}; exec "$@"', "sh", *command]
    done = subprocess.run(limited, capture_output=True, check=False)  # noqa: S603
    # A renderer that is a program of the shell tells a signal by its exit status.
    ended_by = -done.returncode if done.returncode < 0 else done.returncode - _SIGNAL
    if ended_by in _FROM_OUTSIDE:
        remedy = "see that memory suffices, and start again" if ended_by == signal.SIGKILL else "start again"
        raise CurationError(f"rsvg-convert was ended by {signal.Signals(ended_by).name} at {file}: {remedy}")
    if done.returncode in _NOT_STARTED:
        raise CurationError(f"rsvg-convert cannot be run: {one_line(done.stderr.decode('utf-8', 'replace'))}")
    return b"" if done.returncode else done.stdout


def _source(folder: Path, name: str, given: str | None) -> Path:
    """The folder of a package's files, fetched where none is given."""
    if given:
        return Path(given)
    unpacked = folder / "packages" / name
    found = unpacked / _FOLDERS[name]
    if not found.is_dir():
        _fetch_package(PACKAGES[name], unpacked, name)
    return found


def _fetch_package(package: str, unpacked: Path, option: str) -> None:
    unpacked.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", "-q", package], cwd=unpacked, capture_output=True, check=True)  # noqa: S603, S607
        (archive,) = unpacked.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=unpacked, capture_output=True, check=True)  # noqa: S603, S607
        archive.unlink()
    except (OSError, subprocess.CalledProcessError, ValueError):
        raise ConfigError(
            f"the Debian package {package} could not be fetched by apt-get download: install it, or give its folder by "
            f"--{option}"
        ) from None


def _distinct_titles(found: Sequence[Drawing], counts: Counter[str]) -> list[Drawing]:
    """Keeps the first drawing of each class and title."""
    chosen = {(drawing.class_name, _key(drawing.title)): drawing for drawing in reversed(found)}
    counts["title_repeated"] = len(found) - len(chosen)
    return sorted(chosen.values())


def _pool_rows(
    folder: Path, pool: Sequence[Drawing], render: _Renderer, counts: Counter[str]
) -> Iterator[dict[str, object]]:
    for number, drawing in enumerate(pool):
        image = render(drawing.file)
        if image is None:
            counts["not_rendered"] += 1
            continue
        counts["pool"] += 1
        name = f"images/{number:06d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image)
        for text in (drawing.title, *drawing.others):
            other = text != drawing.title
            url = _URL.format(name=f"{number:06d}.png")
            yield {"image_url": url, "alt_text": text, "image_path": name, "language": "other" if other else ""}


def _test_samples(
    test: Sequence[Drawing], classes: Sequence[str], render: _Renderer, counts: Counter[str]
) -> Iterator[ShardSample]:
    for drawing in test:
        image = render(drawing.file)
        if image is None:
            counts["test_not_rendered"] += 1
            continue
        counts["test"] += 1
        name = pair_id(_URL.format(name=f"test/{drawing.class_name}/{drawing.title}"), drawing.title)
        yield ShardSample(name, image, "png", drawing.title, classes.index(drawing.class_name))


def _name_as_title(file: Path) -> str:
    return re.sub(r"[_\W\d]+", " ", file.stem).strip()


def _key(title: str) -> str:
    """What two titles share that are the same but for case, digits and marks."""
    return " ".join(re.findall(r"[^\W\d_]+", title.lower()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
