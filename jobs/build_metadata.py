"""Build the metadata list from WordNet, Wikipedia articles and page views."""

import sys

from metaclip_spark.commands.metadata import build_metadata as main

if __name__ == "__main__":
    sys.exit(main())
