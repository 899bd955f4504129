"""The source: what came, what moved, and whether the broker is alive."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, errors
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata, TopicPartition

from monitor.stream.kafka.connection import FINAL, LARGEST_MESSAGE, Connection, require_checksums
from monitor.stream.kafka.session import Session
from monitor.stream.kafka.translation import committable, topic_partition
from monitor.stream.record import Record
from monitor.stream.transport import Health, Partition, Polled, Refused

log = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
STUCK_SECONDS = 15.0


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
        require_checksums()
        self._connection = connection
        self._topics = tuple(topics)
        self._is_static = static or group is None
        self._group = group
        self._options = _consumer_options(
            group=group, member=None if self._is_static else member, session=session_timeout, max_records=max_records
        )
        self._session: Session | None = None
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
                session.consumer.commit(committable(mine), timeout_ms=2000)
        except errors.KafkaError as error:
            log.info("the last offsets were not committed for lag tools: %s", error)
        session.consumer.close(autocommit=False, timeout_ms=3000)

    def _connected(self) -> Session | None:
        if self._session is None:
            # A KafkaConsumer whose construction fails leaves its thread behind: look before.
            self._is_reachable = self._connection.is_reachable()
            if not self._is_reachable:
                self._detail = f"no broker takes connections at {', '.join(self._connection.bootstrap)}"
                return None
            consumer = KafkaConsumer(**self._connection.settings(**self._options))
            self._session = Session(consumer, self._topics, is_static=self._is_static)
            self._detail = ""
        return self._session

    def _fetch(self, session: Session, timeout: float) -> tuple[Record, ...]:
        try:
            found = session.poll(timeout)
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

    def _begin_again(self, session: Session, error: errors.KafkaError) -> None:
        """Continue at the oldest record where Kafka no longer has ours; the sequence numbers then show what is lost."""
        gone = [each for each in error.args[0] if Partition(*each) in session.next] if error.args else []
        starts = session.consumer.beginning_offsets(gone or list(map(topic_partition, session.next)), timeout_ms=5000)
        for each, start in starts.items():
            self._detail = f"{each.topic}/{each.partition}: the offset is gone, continuing at {start} ({error})"
            log.warning(self._detail)
            session.go(Partition(*each), start)

    def _watch_supply(self, session: Session, records: Sequence[Record]) -> None:
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

    def _found_alive(self, session: Session) -> None:
        now = time.monotonic()
        self._is_reachable = bool(session.next) or self._connection.is_reachable()
        if not self._is_reachable:
            self._detail = f"no broker takes connections at {', '.join(self._connection.bootstrap)}"
        elif not any(session.lag().values()):
            self._fetched_at = self._moved_at = now
            self._detail = ""

    def _commit_now(self, session: Session) -> None:
        mine = {each: offset for each, offset in self._to_commit.items() if each in session.next}
        if mine and not self._is_committing:
            self._is_committing = True
            session.consumer.commit_async(committable(mine), callback=self._committed)

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
