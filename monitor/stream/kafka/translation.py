"""Our nouns in kafka-python's words, and its records in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka.structs import OffsetAndMetadata, TopicPartition

from monitor.stream.record import Record
from monitor.stream.transport import Partition
from monitor.trigger.batch import Place


def topic_partition(partition: Partition) -> TopicPartition:
    """Return the partition as kafka-python names it."""
    return TopicPartition(partition.topic, partition.partition)


def committable(offsets: Mapping[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return offsets as a commit wants them: without metadata and leader epoch."""
    return {topic_partition(each): OffsetAndMetadata(offset, "", -1) for each, offset in offsets.items()}


def received(raw: Any) -> Record:
    """Return a consumer's record as ours; a header without a value has an empty one, the time is in seconds."""
    headers = tuple((key, value or b"") for key, value in raw.headers)
    place = Place(raw.topic, raw.partition, raw.offset)
    return Record(place, max(0, raw.timestamp or 0) / 1000, raw.value or b"", headers, raw.key)
