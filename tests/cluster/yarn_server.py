"""The YARN that the tests use: a ResourceManager and NodeManagers on loopback, each a JVM of its own."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.hadoop import HOST, ask, client, free_ports, server, wait_until, write_settings
from tests.cluster.hdfs_server import HdfsServer

_RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_APPLICATIONS = "org.apache.hadoop.yarn.client.cli.ApplicationCLI"
_MEMORY = {
    "yarn.scheduler.minimum-allocation-mb": 256,
    "yarn.scheduler.maximum-allocation-mb": 8192,
    "yarn.scheduler.maximum-allocation-vcores": 6,
    "yarn.nodemanager.resource.memory-mb": 8192,
    "yarn.nodemanager.resource.cpu-vcores": 6,
}


@dataclass(frozen=True)
class YarnServer:
    """A running YARN.

    Attributes:
        configuration: The folder of its settings and of its HDFS's, for HADOOP_CONF_DIR.
        folder: Where its servers and the containers of applications leave their logs.
        nodes: The processes of its nodes.
    """

    configuration: Path
    folder: Path
    nodes: list[subprocess.Popen]

    def status(self, application: str) -> dict[str, str]:
        """Tells of an application what `yarn application -status` tells."""
        told = client(self.configuration, _APPLICATIONS, "application", "-status", application)
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in told.splitlines())}

    def kill(self, application: str) -> None:
        """Ends an application as `yarn application -kill` does."""
        client(self.configuration, _APPLICATIONS, "application", "-kill", application)

    def drivers(self, application: str) -> dict[int, Path]:
        """Gives the folders with the logs of an application's drivers, by their attempts."""
        found = self.folder.glob(f"node*/logs/{application}/container_*_000001")
        return {int(folder.name.split("_")[-2]): folder for folder in sorted(found)}

    def lose_node(self, container: Path) -> None:
        """Ends a node with all that runs there, as a machine ends that is switched off.

        Args:
            container: The folder with the logs of one of its containers.
        """
        place = container.relative_to(self.folder).parts[0].removeprefix("node")
        self.nodes[int(place)].kill()


@contextmanager
def yarn_server(folder: Path, hdfs: HdfsServer, nodes: int = 1, missing: Path | None = None) -> Iterator[YarnServer]:
    """Starts the servers, which keep everything in a folder, and ends them.

    Args:
        folder: An empty folder.
        hdfs: What applications find as their default file system.
        nodes: How many nodes there are. Of several each has process numbers of its own, as a machine has, and what runs
            there ends with its first process; that takes root.
        missing: A folder that is empty on the last of several nodes.

    Yields:
        What a test needs to know of it.
    """
    ports = free_ports(5 + 3 * nodes)
    manager, of_nodes = ports[:5], ports[5:]
    configurations = [folder / f"node{node}" / "conf" for node in range(nodes)]
    for node, configuration in enumerate(configurations):
        _configure(configuration, hdfs, manager, of_nodes[3 * node : 3 * node + 3], folder / f"node{node}")
    web = f"http://{HOST}:{manager[4]}"
    with ExitStack() as running:
        processes = [running.enter_context(server(folder, configurations[0], _RESOURCE_MANAGER))]
        for node, configuration in enumerate(configurations):
            apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] if nodes > 1 else []
            if missing and node == nodes - 1:
                empty = folder / "empty"
                empty.mkdir()
                apart += ["sh", "-c", f'mount --bind "{empty}" "{missing}" && exec "$0" "$@"']
            processes.append(
                running.enter_context(server(folder / f"node{node}", configuration, _NODE_MANAGER, before=apart))
            )
        wait_until(lambda: _nodes_up(web) == nodes, folder, *processes)
        yield YarnServer(configurations[0], folder, processes[1:])


def _nodes_up(web: str) -> int:
    try:
        return json.loads(ask(f"{web}/ws/v1/cluster/metrics"))["activeNodes"]
    except (ValueError, KeyError):
        # Its web server is up first.
        return 0


def _configure(configuration: Path, hdfs: HdfsServer, manager: list[int], node: list[int], folder: Path) -> None:
    shutil.copytree(hdfs.configuration, configuration)
    client, scheduler, tracker, admin, web = (f"{HOST}:{port}" for port in manager)
    address, localizer, node_web = (f"{HOST}:{port}" for port in node)
    settings = {
        **_MEMORY,
        "yarn.resourcemanager.hostname": HOST,
        "yarn.resourcemanager.bind-host": HOST,
        "yarn.resourcemanager.address": client,
        "yarn.resourcemanager.scheduler.address": scheduler,
        "yarn.resourcemanager.resource-tracker.address": tracker,
        "yarn.resourcemanager.admin.address": admin,
        "yarn.resourcemanager.webapp.address": web,
        "yarn.resourcemanager.am.max-attempts": 2,
        # A node that is silent so long is lost.
        "yarn.nm.liveness-monitor.expiry-interval-ms": 10_000,
        # A node is up before the ResourceManager, and asks again soon.
        "yarn.resourcemanager.connect.retry-interval.ms": 200,
        "yarn.nodemanager.hostname": HOST,
        "yarn.nodemanager.bind-host": HOST,
        "yarn.nodemanager.address": address,
        "yarn.nodemanager.localizer.address": localizer,
        "yarn.nodemanager.webapp.address": node_web,
        "yarn.nodemanager.local-dirs": folder / "local",
        "yarn.nodemanager.log-dirs": folder / "logs",
        "yarn.node-attribute.fs-store.root-dir": f"file://{folder}/attributes",
        # Soon enough to see a container that is too large for seconds only.
        "yarn.nodemanager.container-monitor.interval-ms": 500,
        # Not by control groups, which this executor of containers has none of: by looking.
        "yarn.nodemanager.resource.memory.enforced": "false",
        # A JVM reserves far more memory than it uses.
        "yarn.nodemanager.vmem-check-enabled": "false",
        # On a full disk the test that needs space says so; a node without a healthy disk only waits.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": 100,
        "yarn.nodemanager.env-whitelist": "JAVA_HOME,HADOOP_CONF_DIR,PATH",
        "yarn.nodemanager.delete.debug-delay-sec": 3600,
    }
    write_settings(configuration / "yarn-site.xml", settings)
    queues = {
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": 100,
        # The default lets a small cluster start no application at all.
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        "yarn.scheduler.capacity.resource-calculator": (
            "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"
        ),
    }
    write_settings(configuration / "capacity-scheduler.xml", queues)
