"""The only file that speaks Kafka: a source, a sink, and the making of topics.

What kafka-python leaves to its user, and is done here: a dead broker raises nothing, so it is probed; a record that
cannot be unpacked would come back for ever, so it is passed over and reported; offsets come from the database, so the
group's committed ones are never used to start from.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, errors
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.record.util import crc32c_c
from kafka.structs import MemberState, OffsetAndMetadata, TopicPartition

from monitor.stream.record import UNREADABLE, Outgoing, Record
from monitor.stream.transport import Health, Partition, Polled, Refused, Undelivered
from monitor.trigger.batch import Place

log = logging.getLogger(__name__)

POLL_SLICE = 0.25
JOIN_SECONDS = 10.0
PROBE_SECONDS = 2.0
PROBE_TIMEOUT = 2.0
STUCK_SECONDS = 15.0
LARGEST_MESSAGE = 10 * 2**20
# No retry mends these: wrong credentials, missing rights, settings that the broker does not accept.
FINAL = (
    errors.AuthorizationError,
    errors.FencedInstanceIdError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidTopicError,
    errors.KafkaConfigurationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.UnsupportedVersionError,
)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Kafka is and how to get in.

    Attributes
    ----------
    bootstrap
        `host:port` of one or more brokers.
    options
        Passed to kafka-python as they are: `security_protocol`, `ssl_*`, `sasl_*`, `client_id`, timeouts, ….
    """

    bootstrap: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **own: Any) -> dict[str, Any]:
        """Return our settings with the user's on top."""
        return {"bootstrap_servers": list(self.bootstrap), **own, **self.options}

    def is_reachable(self, timeout: float = 1.0) -> bool:
        """Try whether any broker takes a connection."""
        return any(_takes_connections(address, timeout) for address in self.bootstrap)


def _require_checksums() -> None:
    if crc32c_c is None:
        detail = "the package crc32c is missing, without which Kafka's checksums cost 20 times as much"
        raise Refused(f"{detail}: install kafka-python[crc32c]")


def _takes_connections(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return True
    except (OSError, ValueError):
        return False


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


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps what the group did to us until the next poll reports it; kafka-python may call from its own thread."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._lost: set[Partition] = set()
        self._moved = False

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        # Held until poll has told the caller, who then says from which offset to read. The group's committed offsets
        # are kept out of it: they are for lag tools.
        _hold(self._consumer, assigned)
        with self._lock:
            self._moved = True

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._moved = self._moved or bool(list(revoked))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._moved = True
            self._lost |= {Partition(*each) for each in lost}

    @property
    def are_waiting(self) -> bool:
        """Whether there is something to take."""
        return self._moved

    def take(self) -> tuple[bool, set[Partition]]:
        """Return whether anything moved, and what was lost to somebody else meanwhile; forget both."""
        with self._lock:
            moved, lost = self._moved, self._lost
            self._moved, self._lost = False, set()
            return moved, lost


class _Session:
    """A connected consumer: which partitions it has, where each continues, and how far each goes."""

    def __init__(self, consumer: KafkaConsumer, topics: Sequence[str], *, is_static: bool) -> None:
        self.consumer = consumer
        self.next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._held: set[Partition] = set()
        self._topics = tuple(topics)
        self._is_static = is_static
        self._changes = _Changes(consumer)
        if is_static:
            self.assign_all()
        else:
            consumer.subscribe(self._topics, listener=self._changes)
            # Fetches what the cluster has: who joins without knowing the partitions is given none, and joins twice.
            consumer.topics()

    def assign_all(self) -> None:
        """Take every partition that the topics have by now, where nobody shares them with us."""
        if not self._is_static:
            return
        every = {TopicPartition(topic, n) for topic in self._topics for n in self.consumer.partitions_for_topic(topic)}
        if new := every - self.consumer.assignment():
            self.consumer.assign(sorted(every))
            _hold(self.consumer, new)

    def release(self) -> None:
        """Begin with the partitions that the last poll reported."""
        self.consumer.resume(*(_tp(each) for each in self._held if each in self.next))
        self._held.clear()

    def has_moved(self) -> bool:
        """Return whether `moved` has something to tell."""
        return self._changes.are_waiting or {Partition(*each) for each in self.consumer.assignment()} != set(self.next)

    def is_joining(self) -> bool:
        """Return whether the group is sharing out its partitions just now.

        A join that kafka-python 3.0.12 began because a topic's partitions changed, and that outlives one of its polls,
        is never finished: it forgets that it wants to join, and the member stays without partitions and heartbeats.
        So it is reminded; nothing public does that without leaving the group.
        """
        if self._is_static or self.consumer.group_metadata().state != MemberState.REBALANCING:
            return False
        if not self.consumer._coordinator.need_rejoin():  # noqa: SLF001
            self.consumer._coordinator.request_rejoin()  # noqa: SLF001
        return True

    def moved(self) -> tuple[frozenset[Partition], frozenset[Partition]]:
        """Return what was assigned and what was revoked since the last call.

        Kafka's eager protocol takes everything and gives most of it back. What came back in the same breath was in
        nobody else's hands, so it continues where it was and is not reported.
        """
        has_moved, lost = self._changes.take()
        now = {Partition(*each) for each in self.consumer.assignment()}
        revoked = {each for each in self.next if each not in now or each in lost}
        for each in revoked:
            del self.next[each]
        if has_moved:
            for each, offset in self.next.items():
                self.go(each, offset)
                self.consumer.resume(_tp(each))
        return frozenset(self._begin(now - set(self.next))), frozenset(revoked)

    def _begin(self, new: set[Partition]) -> set[Partition]:
        """Put new partitions at their oldest record, held; none where the broker does not tell (asked again later)."""
        if not new:
            return set()
        try:
            starts = self.consumer.beginning_offsets([_tp(each) for each in new], timeout_ms=5000)
        except errors.RetriableError as error:
            log.info("the begin of %s is not known yet: %s", sorted(new), error)
            return set()
        for each in new:
            self.go(each, starts[_tp(each)])
        self._held |= new
        return new

    def go(self, partition: Partition, offset: int) -> None:
        """Continue a partition at `offset`."""
        self.consumer.seek(_tp(partition), offset)
        self.next[partition] = offset

    def lag(self) -> dict[Partition, int]:
        """Return how many records wait on each partition, from what the broker said last."""
        lag = {}
        for partition, at in list(self.next.items()):
            known = self.consumer.highwater(_tp(partition)) if _tp(partition) in self.consumer.assignment() else None
            lag[partition] = max(0, max(known or 0, self._ends.get(partition, 0)) - at)
        return lag

    def probe(self) -> None:
        """Ask the broker how far the partitions go; raises a KafkaError where it does not answer."""
        self.assign_all()
        partitions = [_tp(each) for each in self.next]
        found = self.consumer.end_offsets(partitions, timeout_ms=int(PROBE_TIMEOUT * 1000))
        self._ends = {Partition(*each): end for each, end in found.items()}
        for each in partitions:
            # Transaction markers and compacted records take offsets that nobody is ever given.
            position = self.consumer.position(each, timeout_ms=100)
            self.next[Partition(*each)] = max(position or 0, self.next[Partition(*each)])

    def pass_over(self, error: Exception) -> Record | None:
        """Step over a record that cannot be unpacked, and return an empty one in its place; None where it is no record.

        kafka-python would stay at it for ever. Its own field tells which partition it was at; the version is pinned,
        and a test with a real broker watches this. Records behind it in the same Kafka batch are lost with it, one by
        one and each reported.
        """
        # The field is private, but the exception does not say where it happened.
        part = self.consumer._fetcher._next_partition_records  # noqa: SLF001
        if part is None or Partition(*part.topic_partition) not in self.next:
            return None
        partition = Partition(*part.topic_partition)
        place = Place(*partition, max(part.next_fetch_offset, self.next[partition]))
        self.go(partition, place.offset + 1)
        detail = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace")[:200]
        return Record(place, time.time(), b"", ((UNREADABLE, detail),))


class KafkaSource:
    """Reads topics of a Kafka cluster: its share of them as a member of `group`, or all partitions.

    Construction never touches the network: `poll` connects, and while no broker can be reached it returns nothing and
    `health` says so. `Refused` is raised where no retry can help. Offsets come from `seek`; a partition without one
    begins at its oldest record, whatever the group has committed.

    Parameters
    ----------
    topics
        The topics to read.
    group
        Consumer group; None takes all partitions.
    static
        Take all partitions although there is a group, which then only keeps the committed offsets for lag tools.
    member
        `group_instance_id`: a name that survives a restart, so that a rolling restart moves no partitions.
    session_timeout
        Seconds without a heartbeat until the group gives our partitions to others.
    max_records
        Records of one poll; each is a batch of events, so few are plenty.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Sequence[str],
        *,
        group: str | None = None,
        static: bool = False,
        member: str | None = None,
        session_timeout: float = 12.0,
        max_records: int = 16,
    ) -> None:
        _require_checksums()
        self._connection = connection
        self._topics = tuple(topics)
        self._is_static = static or group is None
        self._group = group
        self._options = _consumer_options(
            group=group, member=None if self._is_static else member, session=session_timeout, max_records=max_records
        )
        self._session: _Session | None = None
        self._to_commit: dict[Partition, int] = {}
        self._is_committing = False
        self._is_reachable = False
        self._detail = "not connected yet"
        self._fetched_at = self._moved_at = time.monotonic()
        self._probed_at = 0.0

    def poll(self, *, timeout: float) -> Polled:
        """See Source.poll; raises `Refused` where no retry can help."""
        try:
            session = self._connected()
            if session is None:
                time.sleep(min(timeout, 1.0))
                return Polled()
            self._commit_now(session)
            session.release()
            records = self._fetch(session, timeout)
            assigned, revoked = session.moved()
            self._watch_supply(session, records)
        except FINAL as error:
            raise Refused(f"Kafka at {', '.join(self._connection.bootstrap)} refuses: {error}") from error
        except errors.KafkaError as error:
            self._detail = f"{type(error).__name__}: {error}"
            log.info("poll: %s", self._detail)
            return Polled()
        return Polled(records=records, assigned=assigned, revoked=revoked)

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.seek; partitions that are not assigned are left alone."""
        for partition, offset in offsets.items():
            if self._session is not None and partition in self._session.next:
                self._session.go(partition, offset)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.commit: sent with the next poll, without waiting, and again where a rebalance was in the way."""
        if self._group is not None:
            self._to_commit |= offsets

    def partitions(self, topic: str) -> frozenset[Partition]:
        """See Source.partitions; none where no broker has told us yet."""
        if self._session is None or topic not in self._topics:
            return frozenset()
        return frozenset(Partition(topic, number) for number in self._session.consumer.partitions_for_topic(topic))

    def health(self) -> Health:
        """See Source.health; the detail tells of records that wait and do not come."""
        now = time.monotonic()
        lag = {} if self._session is None else self._session.lag()
        detail = self._detail
        if self._is_reachable and any(lag.values()) and now - self._moved_at > STUCK_SECONDS:
            behind = max(lag, key=lambda each: lag[each])
            detail = (
                f"{lag[behind]} records wait on {behind.topic}/{behind.partition} and none came for "
                f"{now - self._moved_at:.0f} s: the next one may be larger than receive_message_max_bytes"
            )
        return Health(reachable=self._is_reachable, last_fetch_age=now - self._fetched_at, lag=lag, detail=detail)

    def close(self) -> None:
        """See Source.close; a broker that does not answer costs a few seconds."""
        session, self._session = self._session, None
        if session is None:
            return
        mine = {each: offset for each, offset in self._to_commit.items() if each in session.next}
        try:
            if mine and self._is_reachable:
                session.consumer.commit(_offsets(mine), timeout_ms=2000)
        except errors.KafkaError as error:
            log.info("the last offsets were not committed for lag tools: %s", error)
        session.consumer.close(autocommit=False, timeout_ms=3000)

    def _connected(self) -> _Session | None:
        if self._session is None:
            # A KafkaConsumer whose construction fails leaves its thread behind: look before.
            self._is_reachable = self._connection.is_reachable()
            if not self._is_reachable:
                self._detail = f"no broker takes connections at {', '.join(self._connection.bootstrap)}"
                return None
            consumer = KafkaConsumer(**self._connection.settings(**self._options))
            self._session = _Session(consumer, self._topics, is_static=self._is_static)
            self._detail = ""
        return self._session

    def _fetch(self, session: _Session, timeout: float) -> tuple[Record, ...]:
        try:
            found = _poll(session, timeout)
        except FINAL:
            raise
        except (errors.OffsetOutOfRangeError, errors.LogTruncationError) as error:
            self._begin_again(session, error)
            return ()
        except Exception as error:  # unpacking what a stranger wrote can raise anything
            unreadable = session.pass_over(error)
            if unreadable is None:
                raise
            log.warning("%s cannot be unpacked and was passed over: %s", unreadable.place, error)
            return (unreadable,)
        for record in found:
            session.next[Partition(record.place.topic, record.place.partition)] = record.place.offset + 1
        return found

    def _begin_again(self, session: _Session, error: errors.KafkaError) -> None:
        """Continue at the oldest record where Kafka no longer has ours; the sequence numbers then show what is lost."""
        gone = [each for each in error.args[0] if Partition(*each) in session.next] if error.args else []
        starts = session.consumer.beginning_offsets(gone or list(map(_tp, session.next)), timeout_ms=5000)
        for each, start in starts.items():
            self._detail = f"{each.topic}/{each.partition}: the offset is gone, continuing at {start} ({error})"
            log.warning(self._detail)
            session.go(Partition(*each), start)

    def _watch_supply(self, session: _Session, records: Sequence[Record]) -> None:
        """Note that records came; where none do, ask the broker whether there are any. A dead one raises nothing."""
        now = time.monotonic()
        if records:
            self._fetched_at = self._moved_at = self._probed_at = now
            self._is_reachable, self._detail = True, ""
        elif now - self._probed_at > PROBE_SECONDS:
            try:
                session.probe()
            except errors.RetriableError as error:
                self._is_reachable = False
                self._detail = f"no answer from {', '.join(self._connection.bootstrap)}: {error}"
            else:
                self._found_alive(session)
            self._probed_at = time.monotonic()

    def _found_alive(self, session: _Session) -> None:
        now = time.monotonic()
        self._is_reachable = bool(session.next) or self._connection.is_reachable()
        if not self._is_reachable:
            self._detail = f"no broker takes connections at {', '.join(self._connection.bootstrap)}"
        elif not any(session.lag().values()):
            self._fetched_at = self._moved_at = now
            self._detail = ""

    def _commit_now(self, session: _Session) -> None:
        mine = {each: offset for each, offset in self._to_commit.items() if each in session.next}
        if mine and not self._is_committing:
            self._is_committing = True
            session.consumer.commit_async(_offsets(mine), callback=self._committed)

    def _committed(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], answer: object) -> None:
        self._is_committing = False
        if isinstance(answer, (errors.RebalanceInProgressError, errors.RetriableError)):
            return  # kept: sent again with the next poll
        if isinstance(answer, Exception):
            log.info("offsets were not committed for lag tools: %s", answer)
        for each, sent in offsets.items():
            if self._to_commit.get(Partition(*each)) == sent.offset:
                del self._to_commit[Partition(*each)]


def _consumer_options(*, group: str | None, member: str | None, session: float, max_records: int) -> dict[str, Any]:
    return {
        "group_id": group,
        "group_instance_id": member,
        "enable_auto_commit": False,
        # Not "earliest": that would jump over a gap in silence.
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "check_crcs": True,
        "partition_assignment_strategy": (RangePartitionAssignor,),
        "session_timeout_ms": int(session * 1000),
        "heartbeat_interval_ms": int(session * 1000 / 4),
        # How long a reader may take between two polls, and how long the group waits for it.
        "max_poll_interval_ms": 120_000,
        "max_poll_records": max_records,
        "max_partition_fetch_bytes": LARGEST_MESSAGE,
        # A frame above this stops its partition for ever, so it is far above what brokers usually allow.
        "receive_message_max_bytes": 2**28,
        "reconnect_backoff_max_ms": 2000,
        "metadata_max_age_ms": 60_000,
        "bootstrap_timeout_ms": 5000,
    }


def _poll(session: _Session, timeout: float) -> tuple[Record, ...]:
    """Wait for records; longer than `timeout` while the group is being joined.

    In slices, because kafka-python would sit out the time with partitions that are held. And not leaving early while
    joining: kafka-python throws away an answer that arrives between two polls and joins anew, so that two busy
    readers could keep each other from ever having partitions.
    """
    deadline = time.monotonic() + timeout
    while not session.has_moved():
        left = deadline - time.monotonic()
        is_joining = session.is_joining() and left > -JOIN_SECONDS
        found = session.consumer.poll(
            timeout_ms=int(1000 * min(POLL_SLICE, POLL_SLICE if is_joining else max(left, 0)))
        )
        if found or (left < 0.001 and not is_joining):
            return tuple(_record(each) for batch in found.values() for each in batch)
    return ()


def _hold(consumer: KafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    new = list(partitions)
    consumer.pause(*new)
    if new:  # without arguments it means all of them
        consumer.seek_to_beginning(*new)


def _tp(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def _offsets(offsets: Mapping[Partition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {_tp(each): OffsetAndMetadata(offset, "", -1) for each, offset in offsets.items()}


def _record(raw: Any) -> Record:
    headers = tuple((key, value or b"") for key, value in raw.headers)
    place = Place(raw.topic, raw.partition, raw.offset)
    return Record(place, max(0, raw.timestamp or 0) / 1000, raw.value or b"", headers, raw.key)


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
        _require_checksums()
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
