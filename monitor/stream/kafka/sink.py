"""The sink: every record acknowledged, or an error that says it was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer, errors

from monitor.stream.kafka.connection import FINAL, LARGEST_MESSAGE, Connection, require_checksums
from monitor.stream.record import Outgoing
from monitor.stream.transport import Refused, Undelivered


class KafkaSink:
    """Writes to a Kafka cluster: idempotent, acknowledged by all replicas in sync.

    Parameters
    ----------
    patience
        Seconds after which a record that was not acknowledged counts as undelivered.
    compression
        Kafka's own: "zstd", "lz4" or None.
    """

    def __init__(self, connection: Connection, *, patience: float = 10.0, compression: str | None = "zstd") -> None:
        require_checksums()
        self._connection = connection
        self._patience = patience
        self._compression = compression
        self._producer: KafkaProducer | None = None
        self._closed = False

    def send(self, records: Sequence[Outgoing]) -> None:
        """See Sink.send; raises `Undelivered`, or `Refused` where no retry can help."""
        try:
            producer = self._connected()
            waiting = [self._hand_over(producer, each) for each in records]
            for future in waiting:
                future.get(timeout=self._patience + 1)
        except FINAL as error:
            raise Refused(f"Kafka at {', '.join(self._connection.bootstrap)} refuses: {error}") from error
        except (errors.KafkaError, ValueError) as error:  # ValueError: a partition that the topic does not have
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """See Sink.close."""
        producer, self._producer, self._closed = self._producer, None, True
        if producer is not None:
            producer.close(timeout=self._patience)

    def _hand_over(self, producer: KafkaProducer, record: Outgoing) -> Any:
        stamp = None if record.timestamp is None else round(record.timestamp * 1000)
        headers = list(record.headers)
        return producer.send(
            record.topic, record.value, record.key, headers, partition=record.partition, timestamp_ms=stamp
        )

    def _connected(self) -> KafkaProducer:
        if self._closed:
            raise Undelivered("this sink was closed")
        if self._producer is None:
            # As with the consumer: a failed construction leaves a thread behind.
            if not self._connection.is_reachable():
                raise Undelivered(f"no broker takes connections at {', '.join(self._connection.bootstrap)}")
            milliseconds = int(self._patience * 1000)
            self._producer = KafkaProducer(
                **self._connection.settings(
                    acks="all",
                    enable_idempotence=True,
                    compression_type=self._compression,
                    linger_ms=2,
                    batch_size=2**18,
                    max_request_size=LARGEST_MESSAGE + 2**16,
                    request_timeout_ms=milliseconds // 2,
                    delivery_timeout_ms=milliseconds,
                    max_block_ms=milliseconds // 2,
                    allow_auto_create_topics=False,
                    reconnect_backoff_max_ms=2000,
                    bootstrap_timeout_ms=5000,
                )
            )
        return self._producer
