"""Roots of Debian 12, in which deploy/ is tried as on a machine that has nothing else. Used by the tests.

Commands run in a root have mounts and process numbers of their own, which are gone when the command ends, however it
ends: nothing is mounted outside, so that a root is a folder that can be deleted.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/of-this-machine.crt"
MOST_SECONDS = 900


class NoRootError(Exception):
    """No root can be made here; the text says why in one line."""


@dataclass
class DebianRoot:
    """A root.

    Attributes:
        folder: Where it lies.
        mounted: What is seen in it of this machine, read-only: folders here by their paths in it.
    """

    folder: Path
    mounted: dict[str, Path] = field(default_factory=dict)

    def path(self, inside: str) -> Path:
        """Gives the path here of a path in it."""
        return self.folder / inside.lstrip("/")

    def mount(self, source: Path, inside: str) -> None:
        """Lets a folder of this machine be seen in it by the commands to come."""
        self.path(inside).mkdir(parents=True, exist_ok=True)
        self.mounted[inside] = source

    def run(
        self,
        *command: str,
        user: str = "root",
        environment: Mapping[str, str] | None = None,
        folder: str = "/",
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in it, with nothing of this machine's environment."""
        root = shlex.quote(str(self.folder))
        mounts = [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
        mounts += [
            f"mount --bind -o ro {shlex.quote(str(source))} {root}{inside}" for inside, source in self.mounted.items()
        ]
        script = " && ".join([*mounts, f'exec chroot --userspec={user} {root} "$@"'])
        inside = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
        done = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", *inside],
            env={"PATH": PATH, "HOME": self._home(user), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done

    def _home(self, user: str) -> str:
        for line in self.path("/etc/passwd").read_text("utf-8").splitlines():
            name, _, number, *_, home, _ = line.split(":")
            if user.partition(":")[0] in {name, number}:
                return home
        return "/"


def make_archive(target: Path) -> None:
    """Makes a tar archive of a root with Debian's smallest set of packages.

    Raises:
        NoRootError: If that cannot be done here.
    """
    if os.getuid() != 0:
        raise NoRootError("making a root of Debian takes root")
    if not shutil.which("mmdebstrap"):
        raise NoRootError("mmdebstrap is not installed: apt-get install mmdebstrap")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
    done = subprocess.run(
        [*command, "bookworm", target, MIRROR], capture_output=True, text=True, timeout=MOST_SECONDS, check=False
    )
    if done.returncode != 0:
        raise NoRootError(f"mmdebstrap could not make a root of Debian 12: {_last_line(done.stderr)}")


def unpack(archive: Path, folder: Path) -> DebianRoot:
    """Makes a root of an archive, with this machine's way to the network and to Python's packages.

    Raises:
        NoRootError: If nothing can be run in it.
    """
    folder.mkdir()
    # Of devices there are those of this machine.
    subprocess.run(["tar", "-C", folder, "-xpf", archive, "--exclude=./dev/*"], check=True)
    root = DebianRoot(folder)
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copyfile(path, root.path(path))
    _let_pip_work(root)
    done = root.run("true", check=False)
    if done.returncode != 0:
        raise NoRootError(f"no command can be run in a root here: {_last_line(done.stderr)}")
    return root


def _let_pip_work(root: DebianRoot) -> None:
    """Brings this machine's settings of pip; folders with wheels are not those of another machine."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^(?:global|install|:env:)\.([a-z-]+)='(.*)'$", listed.stdout, re.MULTILINE))
    found.pop("find-links", None)
    if "cert" in found:
        # Not where a system has its own, which are to be missed where they are missing.
        root.path(CERTIFICATES).parent.mkdir(exist_ok=True)
        shutil.copyfile(found["cert"], root.path(CERTIFICATES))
        found["cert"] = CERTIFICATES
    lines = ["[global]", *(f"{name} = {value}" for name, value in found.items()), ""]
    root.path("/etc/pip.conf").write_text("\n".join(lines), "utf-8")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


def install(root: DebianRoot, packages: Sequence[str]) -> None:
    """Installs packages of Debian's."""
    options = ["-y", "-qq", "--no-install-recommends"]
    root.run("apt-get", "install", *options, *packages, environment={"DEBIAN_FRONTEND": "noninteractive"})
