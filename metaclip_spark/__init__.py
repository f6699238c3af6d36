"""Driver side of metaclip-spark: curation of image-text pairs as in "Demystifying CLIP Data".

Raises:
    ImportError: If another project's top-level package `udfs` hides ours.
"""

import udfs

__version__ = "0.1.0"

if getattr(udfs, "OWNER", None) != "metaclip_spark":
    raise ImportError(
        f"the package 'udfs' at {list(udfs.__path__)} belongs to another project and hides metaclip-spark's: "
        "install metaclip-spark into an environment of its own"
    )
