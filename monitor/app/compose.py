"""The composition root: settings in, a daemon out. Nothing else in the house knows how the rooms are put together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import emulator
from emulator.pack import Unreadable
from monitor.app.back import SUMMARY, Back, Forwarding, Judging
from monitor.app.board import Board, Identity
from monitor.app.counting import counting
from monitor.app.courier import Courier, Outlet
from monitor.app.front import DEAD_LETTER, Front, SummariesFront, TriggerFront
from monitor.app.house import OpenHouse
from monitor.app.known import BadKnown, KnownFile
from monitor.app.loop import Loop
from monitor.app.outlets import (
    ALERTMANAGER,
    GRAFANA,
    TOPICS,
    WEBHOOK,
    AlertmanagerOutlet,
    TopicOutlet,
    grafana_outlet,
    webhook_outlet,
)
from monitor.app.settings import KafkaSection, Settings, WrongSettings
from monitor.app.shelf import CardShelf
from monitor.decide.action import Kind
from monitor.decide.case import Rules
from monitor.decide.verdict import Level
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.reference.book import Book
from monitor.serve import http
from monitor.serve.alertmanager import FIRING, Alertmanager
from monitor.serve.server import Server
from monitor.serve.shield import LOOPBACK
from monitor.serve.view import Refused
from monitor.serve.webhook import Mode
from monitor.store.database import Damaged, Database
from monitor.stream.columns import Limits
from monitor.stream.kafka import Connection, KafkaSink, KafkaSource, ensure_topics, topology
from monitor.stream.tape import TapeSink, TapeSource
from monitor.stream.transport import Sink, Source
from monitor.watch.aggregator import Aggregator
from monitor.watch.calendar import Calendar
from monitor.watch.canary import Plan
from monitor.watch.worker import Worker

log = logging.getLogger(__name__)

OUT_SUFFIX = ".out"
OUT_PARTITIONS = 1
RECORDS_A_TURN = 16  # records are batches of a thousand events: few make a turn, and a turn is what a kill repeats
ANY_HOST: tuple[str, ...] = ()


class Role(StrEnum):
    """Which half of the walk a process does."""

    SOLO = "solo"
    WORKER = "worker"
    AGGREGATOR = "aggregator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """The parts of a running daemon; `close` ends them in the order in which they depend on each other."""

    loop: Loop
    board: Board
    courier: Courier
    server: Server
    database: Database
    source: Source
    shelf: CardShelf

    def close(self) -> None:
        """Commit, deliver what can be delivered, and let go of everything."""
        self.loop.finish()
        self.server.stop()
        self.courier.close()
        self.source.close()
        self.database.close()
        self.shelf.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Where records come from and go to, and the partitions of every stream's topic."""

    source: Source
    sink: Sink
    partitions: Mapping[str, frozenset[int]]


def compose(settings: Settings, *, role: Role = Role.SOLO, clock: Callable[[], float] = time.time) -> Daemon:
    """Build a daemon and start its page and its courier; the loop is the caller's to turn.

    Raises `WrongSettings` where the settings name something that cannot be used, and what the transports, the database
    and the server raise: `Refused`, `Undelivered`, `InUse`, `Damaged`, `PortTaken`.
    """
    shelf, book, known = shelf_of(settings), book_of(settings), known_of(settings)
    for problem in shelf.problems:
        log.error("%s", problem)
    database = Database(
        settings.state.path, routes=_routes(settings), keep_lumisections=settings.state.keep_lumisections
    )
    with ExitStack() as opened:  # what is open is closed again where a later part cannot be had
        opened.callback(shelf.close)
        opened.callback(database.close)
        ends = _ends(settings, role)
        opened.callback(ends.source.close)
        opened.callback(ends.sink.close)
        back = _back(settings, role, ends, shelf=shelf, book=book, known=known, stored=database.state("aggregator"))
        courier = Courier(database=database, clock=clock)
        board = Board(
            _identity(settings, role, started=clock()),
            database=database,
            source=ends.source,
            engine=shelf.engine,
            page=back.page,
            sinks=courier.views,
            problems=lambda: (*shelf.problems, *(known.problems if known else ()), *courier.problems()),
        )
        house = OpenHouse(
            board=board,
            database=database,
            shelf=shelf,
            book=book,
            reload=lambda: _reload(settings, shelf),
            clock=clock,
        )
        hosts = LOOPBACK if settings.http.host in LOOPBACK else ANY_HOST
        server = Server(
            http.create(house, clock=clock, hosts=hosts, capsule=house.capsule),
            host=settings.http.host,
            port=settings.http.port,
        )
        opened.pop_all()
    loop = Loop(
        source=ends.source,
        front=_front(settings, role, shelf),
        back=back,
        database=database,
        witness=board,
        clock=clock,
    )
    server.start()
    courier.start(_outlets(settings, ends.sink, database, page=server.url, clock=clock))
    return Daemon(
        loop=loop, board=board, courier=courier, server=server, database=database, source=ends.source, shelf=shelf
    )


def shelf_of(settings: Settings) -> CardShelf:
    """Load every card of the models folder that can be used; the shelf's `problems` say which cannot."""
    try:
        return CardShelf.open(emulator.Registry(settings.models.path), engine=settings.models.engine)
    except (OSError, emulator.BadValidity) as error:
        raise WrongSettings(f"models.path: {error}") from error


def book_of(settings: Settings) -> Book:
    """Return the reference that is configured, or an empty Book where none is."""
    path = settings.reference.book
    return Book({}) if path is None else read_book(path)


def known_of(settings: Settings) -> KnownFile | None:
    """Return the file of known conditions, None where none is configured. Raises `WrongSettings`."""
    try:
        return None if settings.known.path is None else KnownFile(settings.known.path)
    except BadKnown as error:
        raise WrongSettings(f"known.path: {error}") from error


def read_book(path: Path) -> Book:
    """Read a Book. Raises `WrongSettings` with the remedy."""
    try:
        return Book.from_bytes(path.read_bytes())
    except OSError as error:
        raise WrongSettings(f"{path}: {error.strerror}; build one with: trigwatch reference build") from error
    except Unreadable as error:
        raise WrongSettings(f"{path}: {error}") from error


def calendar_of(settings: Settings) -> Calendar:
    """Return how long to wait for what."""
    seconds = settings.site.site().lumisection_seconds
    return Calendar(
        lateness=settings.alarms.allowed_lateness_seconds, silence=settings.alarms.silence_lumisections * seconds
    )


def limits_of(settings: Settings) -> Limits:
    """Return what a record may weigh and hold."""
    return Limits(
        max_bytes=settings.limits.max_bytes,
        max_events=settings.limits.max_events,
        max_inputs=settings.limits.max_inputs,
        crossings=settings.site.site().crossings,
    )


def battery_of(settings: Settings) -> Battery:
    """Return the statistics under the settings' promise."""
    return Battery(
        Budget(
            settings.alarms.false_pages_per_week,
            lumisection_seconds=settings.site.site().lumisection_seconds,
            streams=len(settings.streams),
        )
    )


def rules_of(settings: Settings) -> Rules:
    """Return when an episode clears, and when it counts as persistent."""
    return Rules(
        clear_after=settings.alarms.clear_after_lumisections,
        persistent_after=settings.alarms.persistent_after_lumisections,
    )


def aggregator_of(
    settings: Settings, *, partitions: Mapping[str, frozenset[int]], shelf: CardShelf, book: Book
) -> Aggregator:
    """Return the judging half."""
    return Aggregator(
        partitions=partitions,
        shelf=shelf,
        book=book,
        battery=battery_of(settings),
        site=settings.site.site(),
        calendar=calendar_of(settings),
        rules=rules_of(settings),
        floors={stream.name: stream.mismatch_floor for stream in settings.streams},
        learn_lumisections=settings.reference.learn_lumisections,
        canary=Plan(
            tuple(settings.canary.faults), settings.canary.within_lumisections, settings.canary.rest_lumisections
        ),
    )


def worker_of(settings: Settings, shelf: CardShelf) -> Worker:
    """Return the reading half."""
    return Worker(
        streams={stream.name: stream.topic for stream in settings.streams},
        shelf=shelf,
        calendar=calendar_of(settings),
        library=counting(),
        crossings=settings.site.site().crossings,
    )


def _front(settings: Settings, role: Role, shelf: CardShelf) -> Front:
    if role is Role.AGGREGATOR:
        return SummariesFront(dead_letter_topic=settings.topics.dead_letter)
    return TriggerFront(
        worker_of(settings, shelf), limits=limits_of(settings), dead_letter_topic=settings.topics.dead_letter
    )


def _back(
    settings: Settings,
    role: Role,
    ends: _Ends,
    *,
    shelf: CardShelf,
    book: Book,
    known: KnownFile | None,
    stored: bytes | None,
) -> Back:
    if role is Role.WORKER:
        return Forwarding()
    aggregator = aggregator_of(settings, partitions=ends.partitions, shelf=shelf, book=book)
    if stored is not None:
        _restore(aggregator, stored, settings.state.path)
    return Judging(aggregator, known)


def _restore(aggregator: Aggregator, stored: bytes, path: Path) -> None:
    try:
        aggregator.restore(stored)
    except (Unreadable, KeyError) as error:
        raise Damaged(
            f"{path} holds a state that this version cannot go on from: {error}. Move the file away to begin anew; "
            "what is still in the log is read again"
        ) from error


def _identity(settings: Settings, role: Role, *, started: float) -> Identity:
    site = settings.site.site()
    return Identity(
        site=site,
        version=version("trigwatch"),
        role=role.value,
        started=started,
        streams=() if role is Role.WORKER else tuple(stream.name for stream in settings.streams),
        # Between two lumisections nothing is judged: only what is missing beyond that, and lateness, is silence.
        silent_after=(settings.alarms.silence_lumisections + 1) * site.lumisection_seconds
        + settings.alarms.allowed_lateness_seconds,
    )


def _routes(settings: Settings) -> dict[str, tuple[str, ...]]:
    webhooks = {
        kind: [f"{WEBHOOK}-{n}" for n, target in enumerate(settings.webhook.all()) if kind.value in target.kinds]
        for kind in (Kind.VERDICT, Kind.RETRAIN)
    }
    return {
        Kind.VERDICT: (TOPICS, *webhooks[Kind.VERDICT]),
        Kind.RETRAIN: (TOPICS, *webhooks[Kind.RETRAIN]),
        Kind.PAGE: (ALERTMANAGER,) if settings.alertmanager.urls else (),
        Kind.ANNOTATE: (GRAFANA,) if settings.grafana.url else (),
        DEAD_LETTER: (TOPICS,),
        SUMMARY: (TOPICS,),
    }


def _open_pages(database: Database, settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Yield what was firing when the daemon stopped: Alertmanager forgets what nobody repeats."""
    for stream in settings.streams:
        for verdict in database.verdicts(limit=1, stream=stream.name):
            if verdict["level"] == Level.ACT:
                yield {**verdict, "status": FIRING}


def _outlets(
    settings: Settings, sink: Sink, database: Database, *, page: str, clock: Callable[[], float]
) -> Sequence[Outlet]:
    site = settings.site.site().name
    topics = settings.topics
    names = {
        Kind.VERDICT: topics.verdicts,
        Kind.RETRAIN: topics.retrain,
        DEAD_LETTER: topics.dead_letter,
        SUMMARY: topics.summaries,
    }
    outlets: list[Outlet] = [TopicOutlet(sink, topics=names, site=site)]
    if settings.alertmanager.urls:
        pager = Alertmanager(settings.alertmanager.urls, page=page)
        pager.restore(_open_pages(database, settings), now=clock())
        outlets.append(AlertmanagerOutlet(pager, clock=clock))
    outlets += [
        webhook_outlet(target.url, number=number, site=site, mode=Mode(target.mode))
        for number, target in enumerate(settings.webhook.all())
    ]
    if settings.grafana.url:
        outlets.append(grafana_outlet(settings.grafana.url, token=settings.grafana.token))
    return outlets


def _ends(settings: Settings, role: Role) -> _Ends:
    return _kafka_ends(settings, settings.kafka, role) if settings.kafka else _tape_ends(settings, role)


def _kafka_ends(settings: Settings, kafka: KafkaSection, role: Role) -> _Ends:
    connection = Connection(tuple(kafka.bootstrap), kafka.client)
    ours = settings.topics
    ensure_topics(
        connection, dict.fromkeys((ours.verdicts, ours.retrain, ours.dead_letter, ours.summaries), OUT_PARTITIONS)
    )
    inputs = sorted({stream.topic for stream in settings.streams})
    known = topology(connection, inputs)
    source = KafkaSource(
        connection,
        [ours.summaries] if role is Role.AGGREGATOR else inputs,
        group=f"{kafka.group}-{role.value}",
        static=role is not Role.WORKER,
        member=kafka.instance,
        max_records=RECORDS_A_TURN,
    )
    return _Ends(
        source=source,
        sink=KafkaSink(connection),
        partitions={stream.name: frozenset(range(known[stream.topic])) for stream in settings.streams},
    )


def _tape_ends(settings: Settings, role: Role) -> _Ends:
    assert settings.tape is not None, "the settings have checked that one of the two is given"  # noqa: S101
    if role is not Role.SOLO:
        raise WrongSettings(f"role {role.value} needs [kafka]: a tape has one reader")
    path, ours = settings.tape.path, settings.topics
    try:
        topics = sorted({stream.topic for stream in settings.streams})
        source = TapeSource(path, topics, max_records=RECORDS_A_TURN)
    except OSError as error:
        raise WrongSettings(f"tape.path: {path}: {error.strerror}") from error
    names = (ours.verdicts, ours.retrain, ours.dead_letter, ours.summaries)
    return _Ends(
        source=source,
        sink=TapeSink(path.with_name(path.name + OUT_SUFFIX), dict.fromkeys(names, OUT_PARTITIONS)),
        partitions={s.name: frozenset(p.partition for p in source.partitions(s.topic)) for s in settings.streams},
    )


def _reload(settings: Settings, shelf: CardShelf) -> Sequence[str]:
    """Read the folder of cards again; everything else in the settings needs a restart."""
    try:
        return shelf.renew(emulator.Registry(settings.models.path), engine=settings.models.engine)
    except (OSError, emulator.BadValidity) as error:
        raise Refused(f"models.path: {error}; the models that were loaded stay") from error
