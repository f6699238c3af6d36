"""Runs jobs on the YARN of the tests. Used by the tests."""

import os
from dataclasses import dataclass

from tests.cluster.yarn_server import YarnServer
from tests.end_to_end.command import CHECKOUT, Installation

MASTER = "yarn"


@dataclass(frozen=True)
class OnYarn(Installation):
    """An installation whose jobs run on YARN, and the YARN.

    Its environment takes the place of a pack: all nodes are this machine.
    """

    yarn: YarnServer

    def environment(self) -> dict[str, str]:
        """See `Installation`."""
        folder = str(self.yarn.configuration)
        return {**super().environment(), "HADOOP_CONF_DIR": folder, "YARN_CONF_DIR": folder}

    def settings(self, mode: str, **more: str) -> list[str]:
        """Gives Spark's settings of a deploy mode; those of `more` are variables of all containers."""
        variables = {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "NUMBA_CACHE_DIR": str(CHECKOUT / "udfs" / "__pycache__"),
            "JAVA_TOOL_OPTIONS": os.environ.get("JAVA_TOOL_OPTIONS", ""),
            **more,
        }
        places = ("spark.yarn.appMasterEnv", "spark.executorEnv")
        given = [f"{place}.{name}={value}" for name, value in variables.items() for place in places if value]
        python = self.python
        return [
            f"spark.submit.deployMode={mode}",
            # The jars of Spark, which it would upload with each application.
            f"spark.yarn.jars=local:{self.site_packages}/pyspark/jars/*",
            f"spark.yarn.appMasterEnv.PYSPARK_PYTHON={python}",
            f"spark.pyspark.python={python}",
            "spark.executor.instances=2",
            "spark.executor.memory=768m",
            "spark.executor.memoryOverhead=768m",
            "spark.driver.memory=1g",
            "spark.yarn.report.interval=500ms",
            *given,
        ]


def on_yarn(installation: Installation, yarn: YarnServer) -> OnYarn:
    """Lets an installation's jobs run on a YARN."""
    return OnYarn(installation.python, installation.site_packages, installation.folder, yarn)
