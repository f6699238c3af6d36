"""Write the report of a run and run.json, which makes the run finished."""

import sys

from metaclip_spark.commands.curation import report_curation as main

if __name__ == "__main__":
    sys.exit(main())
