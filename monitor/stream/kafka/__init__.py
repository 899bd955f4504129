"""The only package that speaks Kafka: a source, a sink, and the making of topics.

What kafka-python leaves to its user, and is done here: a dead broker raises nothing, so it is probed; a record that
cannot be unpacked would come back for ever, so it is passed over and reported; offsets come from the database, so the
group's committed ones are never used to start from.
"""

from monitor.stream.kafka.connection import Connection
from monitor.stream.kafka.sink import KafkaSink
from monitor.stream.kafka.source import KafkaSource
from monitor.stream.kafka.topics import ensure_topics, topology

__all__ = ["Connection", "KafkaSink", "KafkaSource", "ensure_topics", "topology"]
