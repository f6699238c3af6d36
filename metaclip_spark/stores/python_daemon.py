"""Spark's daemon of Python workers for sessions of plain python, with fewer archives on the path.

Spark puts its own jar and zips before everything else. Where pyspark is installed they hold nothing that is needed, but
before each task Spark calls `importlib.invalidate_caches`, which reads their directories anew in Python before 3.13
(python/cpython#103200); that takes longer than a small task.
"""

import os
import sys
from importlib.machinery import PathFinder


def without_archives(path: list[str], home: str) -> list[str]:
    """Leaves the archives of a Spark out of a module path, unless its pyspark is found in none of the other places.

    Args:
        path: Folders and archives.
        home: Spark's folder.

    Returns:
        What is left, in the same order.
    """
    inside = f"{home}/"
    left = [place for place in path if not (place.startswith(inside) and place.endswith((".zip", ".jar")))]
    pyspark, py4j = PathFinder.find_spec("pyspark", left), PathFinder.find_spec("py4j", left)
    # A pyspark of another place may be one of another version.
    usable = pyspark and py4j and str(pyspark.origin).startswith(inside)
    return left if usable else path


if __name__ == "__main__":
    if home := os.environ.get("SPARK_HOME"):
        sys.path[:] = without_archives(sys.path, home)
    # What was looked through once is looked through again.
    for archive in set(sys.path_importer_cache) - set(sys.path):
        del sys.path_importer_cache[archive]
    from pyspark.daemon import manager

    manager()  # type: ignore[no-untyped-call, unused-ignore]
