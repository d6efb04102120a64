"""Figures of a node for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from linkup_nb.blind.keeper import BlindKeeper
from linkup_nb.errors import StoreError, UsageError
from linkup_nb.node import Node

COUNT_EVERY = 15.0  # seconds between two looks at what the store holds

_log = logging.getLogger("linkup_nb")


class Metrics(Collector, logging.Handler):
    """Serves the figures of a node on a thread of its own; they are read when somebody asks."""

    def __init__(self, node: Node, host: str, port: int, keeper: BlindKeeper | None = None) -> None:
        logging.Handler.__init__(self, logging.WARNING)
        self._node = node
        self._keeper = keeper
        self._errors: Counter[str] = Counter()
        self._blocks = self._bytes = 0
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, host, registry=registry)
        except OSError as error:
            raise UsageError(f"Port {port} of {host} cannot be had ({error.strerror}): choose another.") from error
        _log.addHandler(self)

    def close(self) -> None:
        """Serve no more."""
        _log.removeHandler(self)
        self._server.shutdown()
        self._thread.join()

    def emit(self, record: logging.LogRecord) -> None:
        """Count what goes into the log, by its level."""
        self._errors[record.levelname.lower()] += 1

    async def keep_counting(self) -> None:
        """Look at what the store holds, again and again."""
        while True:
            try:
                usage = await self._node.store.usage()
            except StoreError:
                return
            self._bytes = sum(core.bytes for core in usage)
            self._blocks = sum(core.blocks for core in usage)
            await asyncio.sleep(COUNT_EVERY)

    def collect(self) -> Iterator[Metric]:
        """The figures at this moment."""
        node = self._node
        swarms = (node.swarm, node.linkup_swarm)
        peers = [peer for swarm in swarms for peer in swarm.peers]
        gauges = {
            "connections": ("Open connections", sum(len(swarm.connections) for swarm in swarms)),
            "peers": ("Peers that are known, connected or not", len(peers)),
            "rooms": ("Rooms that are joined", len(node.rooms)),
            "drives": ("Drives that are mounted", len(node.drives)),
            "blocks_held": ("Blocks of logs that are here", self._blocks),
            "store_bytes": ("Bytes of the store", self._bytes),
            "dht_nodes": (
                "Nodes of the DHT that are known",
                sum(len(swarm.dht.nodes) for swarm in swarms if swarm.dht),
            ),
        }
        figures = self._keeper.figures if self._keeper else None
        if figures:
            gauges |= {
                "blind_logs": ("Logs that are held for others", figures.cores),
                "blind_bytes": ("Bytes of all their blocks", figures.bytes),
                "blind_connections": ("Open connections to those who ask, and to who reads", figures.connections),
            }
        for name, (words, value) in gauges.items():
            yield GaugeMetricFamily(f"linkup_{name}", words, value=value)
        received = sum(peer.bytes_received for peer in peers)
        sent = sum(peer.bytes_sent for peer in peers)
        yield CounterMetricFamily("linkup_received_bytes", "Bytes received of the peers that are known", value=received)
        yield CounterMetricFamily("linkup_sent_bytes", "Bytes sent to the peers that are known", value=sent)
        errors = CounterMetricFamily("linkup_errors", "What was dropped or failed, by kind", labels=["kind"])
        kinds = Counter(self._errors)
        for swarm in swarms:
            kinds.update(swarm.counters)
        if figures:
            kinds.update({f"not held: {reason}": count for reason, count in figures.refused.items()})
        for kind, count in kinds.items():
            errors.add_metric([kind], count)
        yield errors
