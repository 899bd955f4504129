"""`trigwatch simulate`: the simulated detector as a producer; its blocks become records, as a trigger writes them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from emulator.detector import SCENARIOS, play
from emulator.detector.run import FIRST_RUN, Block, End
from monitor.app.console import GOOD, NO, Commands, Unusable, command, refuse_nowhere, say, seconds, warn, whole, why
from monitor.stream import files
from monitor.stream.codec import encode, encode_end
from monitor.stream.kafka import Connection, KafkaSink, ensure_topics
from monitor.stream.record import Outgoing
from monitor.stream.tape import TapeSink
from monitor.stream.transport import Refused, Sink, Undelivered
from monitor.trigger.batch import Batch, EndOfLumisection
from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import DEFAULT, Site

STREAM = "l1anomaly"
TOPIC = "trigger-output"
EPOCH = 1_700_000_000.0  # the simulated run starts then: a replay of the same seed has the same time stamps
TAPE_SUFFIX = ".tape"
KAFKA = "kafka://"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "simulate",
        run,
        text="play a scenario of the simulated detector into a file (.parquet, .arrow, .tape) or a Kafka topic",
        example="trigwatch simulate dead-region --out kafka://127.0.0.1:9092/trigger-output",
    )
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--seed", type=whole(0), default=1, help="the same run again and again")
    parser.add_argument("--lumisections", type=whole(1), help="length of the run; by default the scenario's own")
    parser.add_argument(
        "--run", type=whole(1, 2**32 - 1), default=FIRST_RUN, help="its number: a later run has a higher"
    )
    parser.add_argument("--events", type=whole(1), default=1000, help="events a lumisection")
    parser.add_argument("--partitions", type=whole(1), help="of a tape or a topic, by default 2; a file has one")
    parser.add_argument("--interval", type=seconds(0.0), default=0.0, help="seconds between lumisections: 0 is at once")
    parser.add_argument("--out", required=True, help="FILE or kafka://HOST:PORT/TOPIC")


def run(given: argparse.Namespace) -> int:
    """Play the scenario into what `--out` names."""
    is_file = not given.out.startswith(KAFKA) and Path(given.out).suffix != TAPE_SUFFIX
    partitions = given.partitions or (1 if is_file else 2)
    if not given.out.startswith(KAFKA):
        refuse_nowhere(Path(given.out))
    if is_file and partitions > 1:
        raise Unusable(f"--partitions {partitions}: a file has one; write a {TAPE_SUFFIX} or a topic for more")
    try:
        blocks = play(
            SCENARIOS[given.scenario],
            seed=given.seed,
            lumisections=given.lumisections,
            events_per_lumisection=given.events,
            partitions=partitions,
            run=given.run,
        )
        if is_file:
            say(f"{given.out}: {_write(Path(given.out), blocks)} batches")
            return GOOD
        sink, topic = _opened(given.out, partitions=partitions)
    except (OSError, ValueError, Refused, Undelivered) as error:
        raise Unusable(why(error)) from error
    try:
        sent = sum(send(produce(blocks, site=DEFAULT, topic=topic, start=time.time()), sink, interval=given.interval))
    except Undelivered as error:
        warn(str(error))
        return NO
    finally:
        sink.close()
    say(f"{given.out}: {sent} records")
    return GOOD


def send(records: Iterable[Outgoing], sink: Sink, *, interval: float = 0.0) -> Iterator[int]:
    """Send the records lumisection by lumisection, `interval` seconds apart; yield how many each had."""
    for _, together in groupby(records, key=lambda each: each.timestamp):
        sent = list(together)
        sink.send(sent)
        yield len(sent)
        if interval:
            time.sleep(interval)


def _write(out: Path, blocks: Iterable[Block | End]) -> int:
    """Write a file, whole or not at all; return how many batches."""
    if out.suffix not in files.WRITERS:
        known = ", ".join((*files.WRITERS, TAPE_SUFFIX))
        raise ValueError(
            f"--out {out}: its ending {out.suffix!r} is not one of {known}, nor is it {KAFKA}HOST:PORT/TOPIC"
        )
    draft = out.with_name(f".{out.name}")
    try:
        written = files.write(draft, (batch(each) for each in blocks if isinstance(each, Block)))
        draft.replace(out)
    except ValueError as error:
        raise ValueError(f"{out}: {error}, or on a {TAPE_SUFFIX}") from error
    finally:
        draft.unlink(missing_ok=True)
    return written


def _opened(out: str, *, partitions: int) -> tuple[Sink, str]:
    if not out.startswith(KAFKA):
        return TapeSink(Path(out), {TOPIC: partitions}), TOPIC
    parts = urlsplit(out)
    topic = parts.path.strip("/")
    if not parts.netloc or not topic:
        raise ValueError(f"--out {out}: not a Kafka topic: write {KAFKA}HOST:PORT/TOPIC")
    connection = Connection((parts.netloc,))
    ensure_topics(connection, {topic: partitions})
    return KafkaSink(connection), topic


def batch(block: Block, *, stream: str = STREAM) -> Batch:
    """Return a simulated block as the Batch that the codec would read back."""
    header = Header(
        stream=stream,
        model=block.label,
        menu=block.menu,
        firmware=block.firmware,
        prescale_column=block.prescale_column,
        producer=block.producer,
        sequence=block.sequence,
        digest=block.digest,
    )
    events = len(block)
    return Batch(
        header=header,
        run=np.full(events, block.run, np.uint32),
        ls=np.full(events, block.ls, np.uint32),
        orbit=block.orbit,
        event=block.event,
        bx=block.bx,
        pileup=block.pileup,
        inputs=block.inputs,
        score=block.score,
        accept=block.accept,
    )


def produce(
    blocks: Iterable[Block | End], *, site: Site, topic: str = TOPIC, stream: str = STREAM, start: float = EPOCH
) -> Iterator[Outgoing]:
    """Yield one record per block, time-stamped by its lumisection, in the order in which a trigger would write them.

    `start` is when lumisection 0 began, seconds since the epoch.
    """
    for block in blocks:
        # A record can be written only when its lumisection has been taken.
        timestamp = start + block.ls * site.lumisection_seconds
        if isinstance(block, End):
            end = EndOfLumisection(stream, Lumisection(block.run, block.ls), block.events)
            headers, value = encode_end(end)
        else:
            headers, value = encode(batch(block, stream=stream))
        yield Outgoing(topic, value, headers, partition=block.partition, timestamp=timestamp)
