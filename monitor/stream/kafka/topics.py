"""The making and counting of topics."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from kafka import KafkaAdminClient, errors

from monitor.stream.kafka.connection import FINAL, Connection
from monitor.stream.transport import Refused, Undelivered


def ensure_topics(connection: Connection, topics: Mapping[str, int], *, patience: float = 10.0) -> None:
    """Create the topics (name to number of partitions) that do not exist yet; raises `Undelivered` where it cannot."""
    with _administration(connection, "create topics", patience=patience) as admin:
        for name, count in topics.items():
            _create(admin, name, {"num_partitions": count, "replication_factor": -1})


def topology(connection: Connection, topics: Sequence[str], *, patience: float = 10.0) -> dict[str, int]:
    """Return how many partitions each topic has.

    Raises `Undelivered` where a topic does not exist (yet) or no broker answers, `Refused` where no retry helps.
    """
    with _administration(connection, "describe topics", patience=patience) as admin:
        told = admin.describe_topics(list(topics))
    counts = {each["name"]: len(each["partitions"]) for each in told if each["partitions"]}
    if missing := [name for name in topics if name not in counts]:
        raise Undelivered(f"topic {missing[0]!r} does not exist at {', '.join(connection.bootstrap)}: create it first")
    return counts


@contextlib.contextmanager
def _administration(connection: Connection, purpose: str, *, patience: float) -> Iterator[KafkaAdminClient]:
    # As with consumer and producer: a failed construction takes long and leaves a thread behind.
    if not connection.is_reachable():
        raise Undelivered(f"could not {purpose}: no broker takes connections at {', '.join(connection.bootstrap)}")
    try:
        admin = KafkaAdminClient(**connection.settings(bootstrap_timeout_ms=int(patience * 1000)))
        try:
            yield admin
        finally:
            admin.close()
    except FINAL as error:
        raise Refused(f"Kafka at {connection.bootstrap} refuses to {purpose}: {error}") from error
    except errors.KafkaError as error:
        raise Undelivered(f"could not {purpose} at {', '.join(connection.bootstrap)}: {error}") from error


def _create(admin: KafkaAdminClient, name: str, options: Mapping[str, int]) -> None:
    with contextlib.suppress(errors.TopicAlreadyExistsError):
        admin.create_topics({name: dict(options)}, wait_for_metadata=True)
