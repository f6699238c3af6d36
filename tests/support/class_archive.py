"""A class-data archive of Spark: the JVMs of tests map what one run has loaded instead of loading it again."""

import os
import tempfile

from tests.support.paths import CHECKOUT

ARCHIVE = CHECKOUT / "build" / "spark-classes.jsa"
OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
"""The JVMs of tests live for seconds: what pays off later only is left out."""


def java_options() -> str:
    """Gives the options of a test's JVM, which leaves an archive of another Spark or another Java out."""
    return f'{OPTIONS} -XX:SharedArchiveFile="{ARCHIVE}" -Xlog:disable' if ARCHIVE.exists() else OPTIONS


def make_archive() -> None:
    """Curates one archive of the sample and stores the classes that its JVM holds in the end."""
    ARCHIVE.parent.mkdir(exist_ok=True)
    partial = ARCHIVE.with_suffix(".partial")
    os.environ["JAVA_TOOL_OPTIONS"] = f'{OPTIONS} -Xlog:disable -XX:ArchiveClassesAtExit="{partial}"'
    from pyspark import SparkContext

    from tests.support.jobs import METADATA, SAMPLE, call

    archive = SAMPLE / "sample-00000.warc.gz"
    with tempfile.TemporaryDirectory() as output:
        call("curate", "--archives", archive, "--metadata", METADATA, "--output", output, "--threshold-t", 20)
    jvm = SparkContext._gateway.proc
    jvm.stdin.close()
    jvm.wait()
    partial.replace(ARCHIVE)


if __name__ == "__main__":
    make_archive()
