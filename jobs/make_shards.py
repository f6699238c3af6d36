"""Write webdataset shards from pairs, of a run or of files, and downloaded images, and count what was lost."""

import sys

from metaclip_spark.commands.clip_benchmark import make_shards as main

if __name__ == "__main__":
    sys.exit(main())
