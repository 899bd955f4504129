"""What the daemon offers to the outside: the doors' view of board, database, shelf and Book."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor.app.board import Board
from monitor.app.shelf import CardShelf
from monitor.decide.retrain import Event, NotAllowed, State
from monitor.decide.training import Training, training
from monitor.reference.book import Book
from monitor.serve.view import Absent, Refused, Snapshot
from monitor.store import database as store
from monitor.store.database import Database
from monitor.trigger.lumisection import Lumisection


class OpenHouse:
    """Implements `serve.view.House`; every method may be called from any thread."""

    def __init__(
        self,
        *,
        board: Board,
        database: Database,
        shelf: CardShelf,
        book: Book,
        reload: Callable[[], Sequence[str]],
        clock: Callable[[], float],
    ) -> None:
        self._board = board
        self._database = database
        self._shelf = shelf
        self._book = book
        self._reload = reload
        self._clock = clock

    def snapshot(self) -> Snapshot:
        """See House.snapshot."""
        return self._board.snapshot()

    def verdicts(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        """See House.verdicts."""
        return self._database.verdicts(limit=limit, stream=stream)

    def lumisections(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        """See House.lumisections."""
        return self._database.lumisections(limit=limit, stream=stream)

    def references(self) -> Sequence[Mapping[str, Any]]:
        """See House.references."""
        return [
            {
                "id": page.id,
                "version": self._book.version,
                **page.key._asdict(),
                "fills": page.fills,
                "lumisections": page.lumisections,
                "pileup": [page.low, page.high],
                "from": [span._asdict() for span in page.spans],
            }
            for page in self._book
        ]

    def models(self) -> Sequence[Mapping[str, Any]]:
        """See House.models."""
        return [
            {
                "label": card.label,
                "digest": card.digest,
                "engine": self._shelf.engine(card.digest),
                "inputs": card.n_inputs,
                "outputs": card.n_outputs,
                "threshold": card.threshold,
                "falls_to": card.falls_to,
            }
            for card in self._shelf.cards()
        ]

    def retrain(self) -> Sequence[Mapping[str, Any]]:
        """See House.retrain."""
        return [
            {
                "id": request.id,
                "stream": request.stream,
                "state": state.value,
                "dossier": dict(request.dossier),
                "transitions": list(self._database.transitions(request.id)),
            }
            for request, state in self._database.requests()
        ]

    def acknowledge(self, id: str, *, who: str, note: str, label: str) -> None:  # noqa: A002 -- the protocol's word
        """See House.acknowledge."""
        try:
            self._database.acknowledge(id, who=who, note=note, now=self._clock(), label=label)
        except store.Absent as error:
            raise Absent(str(error)) from error

    def training(self, id: str) -> Training:  # noqa: A002 -- the protocol's word
        """See House.training."""
        try:
            request, state = self._database.request(id)
        except store.Absent as error:
            raise Absent(str(error)) from error
        since = Lumisection(**request.dossier["since"])
        return training(request, state, self._database.since(request.stream, since))

    def step(self, id: str, event: Event, *, who: str, note: str) -> State:  # noqa: A002 -- the protocol's word
        """See House.step."""
        try:
            return self._database.move(id, event, who=who, note=note, now=self._clock())
        except store.Absent as error:
            raise Absent(str(error)) from error
        except NotAllowed as error:
            raise Refused(str(error)) from error

    def capsule(self, id: str) -> Mapping[str, Any]:  # noqa: A002 -- what it is
        """Return a stored capsule. Raises `Absent`."""
        try:
            return self._database.capsule(id).to_json()
        except store.Absent as error:
            raise Absent(str(error)) from error

    def reload(self) -> Sequence[str]:
        """See House.reload."""
        return self._reload()
