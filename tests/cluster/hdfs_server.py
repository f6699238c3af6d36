"""The HDFS that the tests use: a NameNode and a DataNode on loopback, each a JVM of its own."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.hadoop import HOST, SECONDS_TO_START, ask, free_ports, server, wait_until, write_settings

_NAME_NODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATA_NODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_STATE = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"


@dataclass(frozen=True)
class HdfsServer:
    """A running HDFS, whose superuser is the user who runs the tests.

    Attributes:
        url: Its root.
        web_url: The same for webhdfs.
        configuration: The folder of its settings, for HADOOP_CONF_DIR.
        restart: Ends the NameNode and starts it again, after so many seconds.
    """

    url: str
    web_url: str
    configuration: Path
    restart: Callable[[float], None]

    def new_folder(self) -> str:
        """Names a folder that is not there yet."""
        return f"{self.url}/{uuid.uuid4().hex}"


@contextmanager
def hdfs_server(folder: Path) -> Iterator[HdfsServer]:
    """Starts both servers, which keep everything in a folder, and ends them."""
    configuration = folder / "conf"
    rpc, web, *data = free_ports(5)
    _configure(folder, configuration, rpc, web, data)
    with ExitStack() as running:
        # The DataNode waits for the NameNode, so that all may start at once.
        data_node = running.enter_context(server(folder, configuration, _DATA_NODE))
        with server(folder, configuration, _NAME_NODE, "-format", "-nonInteractive") as formatting:
            formatting.wait(SECONDS_TO_START)
        name_node = running.enter_context(ExitStack())

        def start() -> None:
            process = name_node.enter_context(server(folder, configuration, _NAME_NODE))
            wait_until(lambda: _is_up(web), folder, process, data_node)

        def restart(seconds: float) -> None:
            name_node.close()
            time.sleep(seconds)
            start()

        start()
        yield HdfsServer(f"hdfs://{HOST}:{rpc}", f"webhdfs://{HOST}:{web}", configuration, restart)


def _configure(folder: Path, configuration: Path, rpc: int, web: int, data: list[int]) -> None:
    transfer, data_web, data_rpc = data
    settings = {
        "fs.defaultFS": f"hdfs://{HOST}:{rpc}",
        "hadoop.tmp.dir": folder / "tmp",
        # The DataNode is up before the NameNode, and asks again soon.
        "ipc.client.connect.retry.interval": "100",
        "ipc.client.connect.max.retries": "1000",
        "dfs.namenode.name.dir": f"file://{folder}/name",
        "dfs.namenode.rpc-address": f"{HOST}:{rpc}",
        "dfs.namenode.http-address": f"{HOST}:{web}",
        # The address has no name to look up.
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": "0",
        "dfs.datanode.data.dir": f"file://{folder}/data",
        "dfs.datanode.hostname": HOST,
        "dfs.datanode.address": f"{HOST}:{transfer}",
        "dfs.datanode.http.address": f"{HOST}:{data_web}",
        "dfs.datanode.ipc.address": f"{HOST}:{data_rpc}",
        "dfs.replication": "1",
    }
    # The servers read both, and all settings in either.
    for name in ("core-site.xml", "hdfs-site.xml"):
        write_settings(configuration / name, settings)


def _is_up(web: int) -> bool:
    try:
        (state,) = json.loads(ask(f"http://{HOST}:{web}{_STATE}"))["beans"]
    except ValueError:
        return False
    return state["FSState"] == "Operational" and state["NumLiveDataNodes"] == 1
