"""Prints the home of a Java that runs Spark, and installs one where there is none.

Looks at JAVA_HOME, at `java` on PATH and in the usual folders; then fetches a private JDK into `.jdk` of the checkout
(PyPI's install-jdk); then, as root, installs the system's package. Standard output carries the path and nothing else.
Exit code 2 with one line says what to install.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST = 17, 23
"""Spark 4 needs 17; Java 24 took away a call that Spark 3.5 makes, so a newer Java is the last resort."""

PRIVATE = Path(__file__).resolve().parents[1] / ".jdk"
FOLDERS = ("/usr/lib/jvm", "/usr/java", "/opt/java", "/opt", "/Library/Java/JavaVirtualMachines")
DEBIAN_PACKAGES = ("openjdk-17-jre-headless", "openjdk-21-jre-headless")
AMAZON_PACKAGES = ("java-17-amazon-corretto-headless", "java-21-amazon-corretto-headless")
INSTALL_TIMEOUT_SECONDS = 900
_INSTALL = """
import jdk, sys
try:
    jdk.install({version!r}, path={path!r})
except Exception as error:
    sys.exit(f"install-jdk: {{error}}")
"""


def main() -> int:
    """Prints a Java home; the exit code is 0, or 2 where there is none."""
    home = find_java() or fetch_private_java() or install_system_java() or find_java(newest=None)
    if home is None:
        sys.stderr.write(
            f"no Java {OLDEST} or newer found and none could be installed: install one (Debian: apt-get install "
            f"{DEBIAN_PACKAGES[0]}; Amazon Linux: dnf install {AMAZON_PACKAGES[0]}) or set JAVA_HOME\n"
        )
        return 2
    sys.stdout.write(f"{home}\n")
    return 0


def find_java(newest: int | None = NEWEST) -> str | None:
    """Returns the home of the first fitting Java on this machine, with None for no upper limit of its version."""
    for java in _candidates():
        version, home = version_and_home(java)
        if version >= OLDEST and (newest is None or version <= newest):
            return home
    return None


def version_and_home(java: Path) -> tuple[int, str]:
    """Returns the version of a `java` program and its home; version 0 where it does not run."""
    command = [str(java), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return 0, ""
    properties = dict(re.findall(r"^\s*([\w.]+) = (.*)$", done.stderr, re.MULTILINE))
    version = properties.get("java.specification.version", "")  # "1.8" before Java 9
    return int(version) if version.isdigit() else 0, properties.get("java.home", "")


def _candidates() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"], "bin", "java")
    if on_path := shutil.which("java"):
        yield Path(on_path)
    for folder in (PRIVATE, *map(Path, FOLDERS)):
        yield from sorted(folder.glob("*/bin/java"))
        yield from sorted(folder.glob("*/Contents/Home/bin/java"))


def fetch_private_java() -> str | None:
    """Fetches a JDK into `.jdk` with install-jdk, which is installed into a folder that is thrown away."""
    sys.stderr.write(f"no Java {OLDEST} to {NEWEST} found: fetching one into {PRIVATE}\n")
    install = _INSTALL.format(version=str(OLDEST), path=str(PRIVATE))
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": folder}
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "install-jdk"]
        if not (_runs(pip) and _runs([sys.executable, "-c", install], environment)):
            return None
    return find_java()


def install_system_java() -> str | None:
    """Installs the system's package, as root on Debian or Amazon Linux."""
    if os.geteuid() != 0:
        return None
    if shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        _runs(["apt-get", "update", "--quiet"], environment)
        for package in DEBIAN_PACKAGES:
            if _runs(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package], environment):
                return find_java()
    installer = shutil.which("dnf") or shutil.which("yum")
    for package in AMAZON_PACKAGES if installer else ():
        if _runs([str(installer), "install", "--assumeyes", package]):
            return find_java()
    return None


def _runs(command: list[str], environment: dict[str, str] | None = None) -> bool:
    """Runs a command with its output on standard error and tells whether it went well."""
    try:
        subprocess.run(command, env=environment, stdout=sys.stderr, timeout=INSTALL_TIMEOUT_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
