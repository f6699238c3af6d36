"""Builds a relocatable Python with all that the workers import, for `spark-submit --archives`.

Usage: python .ci/pack.py [build]

The interpreter is inside: its folder is copied whole, not linked as venv-pack does, so the machines need no Python of
their own; they need the same platform and a C library that is not older, which the file's name says. Spark itself is
left out: the cluster has it. The project comes by `--py-files`; its compiled kernels are inside, for the family of
processors that this machine's belongs to, and are used as long as the project's sources are the same.

Where this Python is the system's own (prefix /usr) it cannot be moved, and the build stops with one line.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "site-packages",
    "config-*",
    "*.a",
)
LEFT_OUT_OF_PACKAGES = ("__pycache__",)
WRAPPER = """#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
LD_LIBRARY_PATH="$here/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$here/bin/{version}" "$@"
"""
NEEDED_BY_SPARK = ("pandas",)
"""PySpark wants it in the workers too, and has no list of its own there."""

FOR_STORES = ("gcsfs", "hdfs-native")
"""Read gs:// and hdfs://: packed where this environment has them, since the project alone asks for neither."""


def main() -> int:
    """Writes the archive; the exit code is 2 where this Python cannot be moved."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    base = Path(sys.base_prefix)
    if base in {Path("/usr"), Path("/usr/local")}:
        sys.stderr.write(
            f"{sys.executable} belongs to the system ({base}), which cannot be moved: make the environment with a "
            "Python in a folder of its own (pyenv, uv python install, conda), then make pack again\n"
        )
        return 2
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    name = f"metaclip-spark-c{version.replace('.', '')}-{sysconfig.get_platform().replace('-', '_')}-{_libc()}"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "environment"
        copy_interpreter(base, home, version)
        copied = copy_packages(home / "lib" / version / "site-packages")
        compile_kernels(home / "share" / "metaclip-spark")
        target.mkdir(parents=True, exist_ok=True)
        path = target / f"{name}.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=3) as archive:
            archive.add(home, arcname=".")
    sys.stdout.write(f"{path}: {path.stat().st_size >> 20} MiB, {len(copied)} packages, its own {version}\n")
    return 0


def _libc() -> str:
    kind, version = platform.libc_ver()
    return f"{kind or 'musl'}{version}"


def copy_interpreter(base: Path, home: Path, version: str) -> None:
    """Copies the interpreter and its standard library."""
    (home / "bin").mkdir(parents=True)
    shutil.copy2((base / "bin" / version).resolve(), home / "bin" / version)
    shutil.copytree(base / "lib" / version, home / "lib" / version, ignore=shutil.ignore_patterns(*LEFT_OUT))
    libraries = list((base / "lib").glob("libpython*.so*"))
    for library in libraries:
        shutil.copy2(library, home / "lib" / library.name, follow_symlinks=False)
    for name in ("python", "python3"):
        if not libraries:
            (home / "bin" / name).symlink_to(version)
            continue
        # The interpreter looks for its library where it was built: a wrapper says where it lies now.
        (home / "bin" / name).write_text(WRAPPER.format(version=version))
        (home / "bin" / name).chmod(0o755)


def copy_packages(target: Path) -> list[str]:
    """Copies what the project needs at run time, from the environment that this runs in, without Spark."""
    names = closure([*project_requirements(), *NEEDED_BY_SPARK, *filter(is_installed, FOR_STORES)])
    for name in names:
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            source = Path(str(distribution.locate_file(file)))
            inside = ".." not in file.parts and not any(part in LEFT_OUT_OF_PACKAGES for part in file.parts)
            if inside and source.is_file():
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy)
    return names


def compile_kernels(target: Path) -> None:
    """Compiles the kernels into the folder where `udfs.kernel_cache` looks for those that came with its Python."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(target)}
    subprocess.run([sys.executable, "-m", "udfs.kernels"], env=environment, cwd=ROOT, check=True)
    for lock in target.rglob("*.lock"):
        lock.unlink()


def project_requirements() -> list[str]:
    """Reads what pyproject.toml asks for at run time."""
    found = importlib.metadata.requires("metaclip-spark") or []
    return [str(item) for item in found if Requirement(item).marker is None]


def is_installed(name: str) -> bool:
    """Tells whether this environment has a package."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def closure(requirements: list[str]) -> list[str]:
    """Gives the names of all packages that requirements lead to."""
    left = [Requirement(item) for item in requirements]
    found: set[str] = set()
    while left:
        item = left.pop()
        name = re.sub(r"[-_.]+", "-", item.name).lower()
        if name in found:
            continue
        found.add(name)
        extras = (*item.extras, "")
        left += [
            further
            for further in map(Requirement, importlib.metadata.requires(name) or [])
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())
