"""`python -m metaclip_spark VERB`."""

import sys

from metaclip_spark.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
