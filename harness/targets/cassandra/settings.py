"""How a node of Cassandra is configured: its yaml, its logging, the command line of its JVM."""

from __future__ import annotations

from pathlib import Path

from dynamesis.harness.targets.site import NodeSite, Site

PEER = "peer"
#: s of Cassandra's own patience for one request
_PATIENCE = "2000ms"

#: packages of the JDK that Cassandra 5 uses, as its own start script has them
_EXPORTS = (
    *("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry"),
    *("java.rmi/sun.rmi.server", "java.sql/java.sql", "java.base/java.lang.ref"),
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    *("java.base/java.lang", "java.base/java.lang.module", "java.base/java.io"),
    *("java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent"),
    *("java.base/java.util.concurrent.atomic", "java.base/sun.nio.ch"),
    *("java.base/jdk.internal.loader", "java.base/jdk.internal.ref"),
    *("java.base/jdk.internal.reflect", "java.base/jdk.internal.math"),
    *("java.base/jdk.internal.module", "java.base/jdk.internal.util.jar"),
    "jdk.management/com.sun.management.internal",
)
_LOGGING = """<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.service.StorageService" level="INFO"/>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"""
_COMMIT_LOGS = {
    "periodic": "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms",
    "compressed": "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms\n"
    "commitlog_compression: [{class_name: LZ4Compressor}]",
    "batch": "commitlog_sync: batch",
}


def configuration(node: NodeSite, site: Site) -> str:
    """The content of cassandra.yaml. Nodes share the ring equally, and each is a seed: it starts
    whether others run or not."""
    place = site.nodes.index(node.name)
    token = -(2**63) + place * 2**64 // len(site.nodes)
    seeds = ",".join(site.node[name].address(PEER) for name in site.nodes)
    patience = "\n".join(
        f"{what}_request_timeout: {_PATIENCE}" for what in ("read", "write", "counter_write")
    )
    return f"""cluster_name: dynamesis
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
num_tokens: 1
initial_token: {token}
auto_bootstrap: false
endpoint_snitch: SimpleSnitch
listen_address: {node.host}
storage_port: {node.ports[PEER]}
rpc_address: {node.host}
native_transport_port: {node.ports["client"]}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "{seeds}"}}]
data_file_directories: ["{node.data}/data"]
commitlog_directory: "{node.data}/commitlog"
hints_directory: "{node.data}/hints"
saved_caches_directory: "{node.data}/caches"
cdc_raw_directory: "{node.data}/cdc"
memtable_heap_space: 32MiB
memtable_offheap_space: 32MiB
{patience}
cas_contention_timeout: {_PATIENCE}
hinted_handoff_enabled: true
hints_flush_period: 1000ms
{_COMMIT_LOGS[site.options["commitlog"]]}
paxos_variant: {site.options["paxos"]}
"""


def java(jars: Path, node: NodeSite, heap: str) -> list[str]:
    """The command line, once the files are written."""
    files = node.data.resolve()
    return [
        *("java", f"-Xmx{heap}", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
        *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
        "-Djdk.attach.allowAttachSelf=true",
        f"-Dcassandra.config=file://{files}/cassandra.yaml",
        f"-Dlogback.configurationFile={files}/logback.xml",
        f"-Dcassandra.storagedir={files}",
        f"-Dcassandra.logdir={files}",
        "-Dcassandra.ring_delay_ms=1000",
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.superuser_setup_delay_ms=-1",
        *("-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"),
    ]


def write_files(node: NodeSite, site: Site) -> None:
    """What the node reads when it starts."""
    (node.data / "cassandra.yaml").write_text(configuration(node, site), encoding="utf-8")
    (node.data / "logback.xml").write_text(_LOGGING, encoding="utf-8")
