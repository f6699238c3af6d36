"""Curate a balanced image-text dataset: extract, match, count, sample and report in one command."""

import sys

from metaclip_spark.commands.curation import curate as main

if __name__ == "__main__":
    sys.exit(main())
