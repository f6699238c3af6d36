"""Earlier sources of this project, taken from its history, so that both can be measured side by side."""

import io
import subprocess
import tarfile

from tests.benchmarks.peers import CHECKOUT

WITHOUT_LOOP = "0e634b65101e6ee4adbe0da402f97b6206affe90"
"""The last revision that reads every archive by Python."""


def without_loop() -> str | None:
    """Unpacks what workers run of that revision; None, and a line that says so, in a checkout without its history."""
    folder = CHECKOUT / "build" / "benchmark-data" / WITHOUT_LOOP
    if not folder.exists():
        command = ["git", "-C", str(CHECKOUT), "archive", "--format=tar", WITHOUT_LOOP, "udfs"]
        try:
            packed = subprocess.run(command, check=True, capture_output=True).stdout
        except (OSError, subprocess.CalledProcessError):
            print(f"not measured: the sources of {WITHOUT_LOOP}, which this checkout's history lacks")
            return None
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
    return str(folder)
