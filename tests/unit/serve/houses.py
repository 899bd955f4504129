"""Houses to look at: one snapshot for every state that a shifter can meet, and a House that remembers what is said."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.decide.retrain import Event, NotAllowed, Request, State, move
from monitor.decide.training import Material, Training, Unfit
from monitor.decide.verdict import Blame, Level, Verdict, identify
from monitor.drift.evidence import AcceptRate, Agreement, Completeness, Evidence, Shift, Where
from monitor.serve.view import (
    Absent,
    Acknowledgement,
    Compared,
    Counters,
    EtaPhiMap,
    Histogram,
    LevelPoint,
    Refused,
    RetrainView,
    SinkView,
    Snapshot,
    SourceView,
    StreamView,
)
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS

NOW = 1_793_000_000.0
RUN = 398_183
LS = 241
STREAM = "l1scout-anomaly"
MODEL = "l1anomaly_v2"
DIGEST = "sha256:" + "7f3c" * 16
STATES = ("ok", "watch", "firmware", "detector", "unknown", "learning")


def falling(bins: int, *, scale: float, events: int) -> tuple[int, ...]:
    weights = [math.exp(-i / scale) * (1 - math.exp(-(i + 1) / 2)) for i in range(bins)]
    return tuple(int(events * weight / sum(weights)) for weight in weights)


def score(*, moved: float = 1.0) -> Histogram:
    edges = tuple(8.0 * i for i in range(41))
    expected = falling(40, scale=3.0, events=100_000)
    return Histogram(
        name="score",
        unit="raw",
        edges=edges,
        counts=falling(40, scale=3.0 * moved, events=100_000),
        expected=tuple(float(count) for count in expected),
        threshold=160.0,
        log=True,
    )


def inputs(*, dead: bool = False) -> tuple[Histogram, ...]:
    phi = tuple(-math.pi + 2 * math.pi * i / 36 for i in range(37))
    flat = [2_700 + 60 * math.sin(i) for i in range(36)]
    hole = [0.12 if dead and 24 <= i < 28 else 1.0 for i in range(36)]
    pt = tuple(2.0 * i for i in range(41))
    expected = falling(40, scale=6.0, events=100_000)
    return (
        Histogram("jet[0].phi", "rad", phi, tuple(int(a * b) for a, b in zip(flat, hole, strict=True)), tuple(flat)),
        Histogram(
            "jet[0].pt",
            "GeV",
            pt,
            falling(40, scale=5.8 if dead else 6.0, events=100_000),
            tuple(map(float, expected)),
            log=True,
        ),
        Histogram(
            "met.pt",
            "GeV",
            pt,
            falling(40, scale=4.0, events=90_000),
            tuple(map(float, falling(40, scale=4.0, events=90_000))),
            log=True,
        ),
    )


def jets(*, dead: bool) -> EtaPhiMap:
    eta = tuple(-3.0 + 0.5 * i for i in range(13))
    phi = tuple(-math.pi + 2 * math.pi * i / 18 for i in range(19))
    pull = tuple(
        tuple(
            -9.0
            if dead and 3 <= i < 5 and 12 <= j < 14
            else (None if i in {0, 11} and j % 9 == 0 else 1.7 * math.sin(3.7 * i + 2.3 * j))
            for j in range(18)
        )
        for i in range(12)
    )
    return EtaPhiMap("jet", eta, phi, pull)


def shift(quantity: str, ratio: float, *, expected: float, observed: float, where: Where | None = None) -> Shift:
    return Shift(
        quantity=quantity,
        family=quantity.partition(".")[0],
        ratio=ratio,
        direction=1 if observed > expected else -1,
        observed=observed,
        expected=expected,
        sigma=abs(expected) * 0.01,
        tolerance=abs(expected) * 0.005,
        since=Lumisection(RUN, LS - 12),
        where=where or Where(),
    )


def evidence(*, alarm: float, shifts: tuple[Shift, ...] = (), mismatched: int = 0, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "stream": STREAM,
        "lumisection": Lumisection(RUN, LS),
        "epoch": Epoch(MODEL, DIGEST, "L1Menu_Collisions2026_v1_3_0", "ugt-24.2.1", "2.1e34"),
        "completeness": Completeness(received=104_000, declared=104_000),
        "agreement": Agreement(
            compared=104_000,
            mismatched=mismatched,
            ratio=6.3 if mismatched else 0.0,
            since=Lumisection(RUN, LS - 2) if mismatched else None,
            floor=1e-6,
            not_comparable={},
        ),
        "pileup": 57.4,
        "reference": "book-7/page-3",
        "unjudged": None,
        "alarm": alarm,
        "shifts": shifts,
        "accept": AcceptRate(observed=0.00312, expected=0.00308, sigma=0.00017),
        "second_opinion": (),
    }
    return Evidence(**(values | changes))


def verdict(level: Level, blame: Blame, action: str, *, since: int = 0, **changes: Any) -> Verdict:
    begun = Lumisection(RUN, LS - since)
    values: dict[str, Any] = {
        "id": identify("verdict", STREAM, level, blame, begun),
        "stream": STREAM,
        "model": MODEL,
        "digest": DIGEST,
        "lumisection": Lumisection(RUN, LS),
        "level": level,
        "blame": blame,
        "since": begun,
        "what": (),
        "where": Where(),
        "evidence": {},
        "action": action,
    }
    return Verdict(**(values | changes))


def history(level: Level, blame: Blame, *, since: int, alarm: float) -> tuple[LevelPoint, ...]:
    points = []
    for ls in range(LS - 119, LS + 1):
        on = ls >= LS - since
        unjudged = on and math.isnan(alarm)
        calm = 0.15 + 0.1 * math.sin(ls / 3)
        rising = alarm * (ls - LS + since + 4) / (since + 4) if ls > LS - since - 4 and not math.isnan(alarm) else calm
        points.append(
            LevelPoint(
                Lumisection(RUN, ls),
                level if on else Level.OK,
                blame if on else Blame.NONE,
                math.nan if unjudged else max(0.02, rising),
            )
        )
    return tuple(points)


def counters(*, mismatched: int = 0, rejected: Mapping[str, int] | None = None) -> Counters:
    return Counters(
        events=24_960_000,
        lost_batches=0,
        agreement={MODEL: Compared(24_960_000, mismatched)},
        rejected=dict(rejected or {}),
        lumisections={Level.OK: 238, Level.ACT: 3},
    )


def ok() -> StreamView:
    calm = (
        shift("jet[0].pt mean", 0.21, expected=38.2, observed=38.3),
        shift("score mean", 0.12, expected=46.0, observed=46.1),
        shift("accept rate", 0.05, expected=0.00308, observed=0.00312),
    )
    return stream(
        verdict(Level.OK, Blame.NONE, "Nothing to do.", since=240),
        evidence(alarm=0.18, shifts=calm),
        levels=history(Level.OK, Blame.NONE, since=0, alarm=0.2),
    )


def watch() -> StreamView:
    moved = (
        shift("met.pt mean", 0.82, expected=21.4, observed=22.1),
        shift("jet[0].pt mean", 0.44, expected=38.2, observed=38.9),
    )
    return stream(
        verdict(
            Level.WATCH,
            Blame.CONDITIONS,
            "Nothing to do yet: look again in five minutes.",
            since=3,
            what=("met.pt mean", "jet[0].pt mean"),
        ),
        evidence(alarm=0.74, shifts=moved),
        levels=history(Level.WATCH, Blame.CONDITIONS, since=3, alarm=0.74),
        score=score(moved=1.05),
    )


def firmware() -> StreamView:
    return stream(
        verdict(
            Level.ACT,
            Blame.FIRMWARE,
            "Call the Level-1 firmware expert: weights or links of l1anomaly_v2 differ; do not retrain.",
            since=2,
            what=("raw score",),
            where=Where(bit=7),
            capsule="c-9d8b1f",
            evidence={"compared": 104_000, "mismatched": 3_214},
        ),
        evidence(alarm=0.31, mismatched=3_214),
        levels=history(Level.ACT, Blame.FIRMWARE, since=2, alarm=0.31),
        counters=counters(mismatched=9_642, rejected={"malformed": 2}),
        score=score(moved=1.1),
    )


def detector() -> StreamView:
    place = Where(object="jet", eta=(-1.5, -0.5), phi=(1.05, 1.75))
    moved = (
        shift("jet eta-phi occupancy", 3.4, expected=5_210.0, observed=610.0, where=place),
        shift("jet[0].phi", 2.2, expected=10_800.0, observed=1_290.0, where=place),
        shift("jet[0].pt mean", 1.3, expected=38.2, observed=36.9),
        shift("accept rate", 0.6, expected=0.00308, observed=0.00271),
    )
    return stream(
        verdict(
            Level.ACT,
            Blame.DETECTOR,
            "Call the calorimeter expert: jets are missing in one region; do not retrain before the region is back.",
            since=12,
            what=("jet eta-phi occupancy", "jet[0].phi", "jet[0].pt mean"),
            where=place,
        ),
        evidence(
            alarm=2.7,
            shifts=moved,
            accept=AcceptRate(0.00271, 0.00308, 0.00017),
            completeness=Completeness(103_100, 104_000, lost_batches=1),
            second_opinion=("jet[0].phi",),
        ),
        levels=history(Level.ACT, Blame.DETECTOR, since=12, alarm=2.7),
        score=score(moved=0.92),
        inputs=inputs(dead=True),
        maps=(jets(dead=True),),
        retrain=RetrainView(
            id="retrain-51ad",
            state=State.PROPOSED,
            dossier={
                "what": ["jet eta-phi occupancy", "jet[0].phi"],
                "since": {"run": RUN, "ls": LS - 12},
                "inputs": ["jet[0].phi", "jet[0].eta"],
                "moved": [{"quantity": "jet[0].phi", "ratio": 2.7}],
                "accept_rate": {"observed": 0.00271, "expected": 0.00308},
                "effect": {
                    "accepted": 3_252,
                    "expected": 3_696.0,
                    "sigma": 71.0,
                    "overlap": {"at_least": 0.0, "at_most": 0.88, "sigma": 0.019},
                },
                "threshold": {"present": 160, "restoring": 151, "low": 148, "high": 155, "lumisections": 12},
                "gain": {"visible": True, "retraining": {"accept_rate": 0.0029, "restores": 0.51}},
                "reference": "book-7/page-3",
            },
        ),
    )


def unknown() -> StreamView:
    return stream(
        verdict(
            Level.UNKNOWN,
            Blame.STREAM,
            "Check the producer on this topic: two of four partitions send nothing.",
            since=4,
            what=("completeness",),
        ),
        evidence(
            alarm=math.nan,
            reference=None,
            unjudged="only 49 % of the declared events arrived",
            pileup=math.nan,
            accept=None,
            completeness=Completeness(51_000, 104_000, lost_batches=31, missing_partitions=(1, 3)),
        ),
        levels=history(Level.UNKNOWN, Blame.STREAM, since=4, alarm=math.nan),
    )


def learning() -> StreamView:
    return StreamView(STREAM, model=MODEL, digest=DIGEST, engine="gemm", newest_event_timestamp=NOW - 3)


def stream(says: Verdict, because: Evidence, **changes: Any) -> StreamView:
    values: dict[str, Any] = {
        "name": STREAM,
        "model": MODEL,
        "digest": DIGEST,
        "engine": "native",
        "verdict": says,
        "evidence": because,
        "judged_at": NOW - 8.0,
        "silent_after": 120.0,
        "newest_event_timestamp": NOW - 2.5,
        "lumisection_delay": 6.4,
        "counters": counters(),
        "score": score(),
        "inputs": inputs(),
        "maps": (jets(dead=False),),
    }
    return StreamView(**(values | changes))


def snapshot(*streams: StreamView, **changes: Any) -> Snapshot:
    values: dict[str, Any] = {
        "site": CMS,
        "version": "0.1.0",
        "role": "solo",
        "started": NOW - 5_600,
        "now": NOW - 1.0,
        "ready": True,
        "streams": streams,
        "source": SourceView(True, 0.4, {("l1scout", partition): 2 * partition for partition in range(4)}),
        "sinks": (SinkView("kafka", 241), SinkView("alertmanager", 3, failures=1, pending=2, error="timed out")),
        "canaries": {"dead-region": 14.0},
        "pace_changes": {"throughput": 1, "lag": 0},
    }
    return Snapshot(**(values | changes))


def named(state: str) -> Snapshot:
    """Return the snapshot of one of `STATES`."""
    return snapshot(globals()[state]())


class Remembering:
    """A House on fixed rows that remembers every statement."""

    def __init__(self, shown: Snapshot) -> None:
        self.shown = shown
        self.said: list[tuple[str, ...]] = []
        self.asked: list[tuple[int, str | None]] = []

    def snapshot(self) -> Snapshot:
        return self.shown

    def verdicts(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        self.asked.append((limit, stream))
        found = [each.verdict for each in self.shown.streams if each.verdict and stream in {None, each.name}]
        return [each.to_json() for each in found][:limit]

    def lumisections(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        self.asked.append((limit, stream))
        return [{"run": RUN, "ls": LS, "alarm": math.nan}][:limit]

    def references(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": "book-7/page-3"}]

    def models(self) -> Sequence[Mapping[str, Any]]:
        return [{"label": MODEL, "digest": DIGEST}]

    def retrain(self) -> Sequence[Mapping[str, Any]]:
        return [{"id": "retrain-51ad", "state": "proposed"}]

    def acknowledge(self, verdict: str, /, *, who: str, note: str, label: str) -> None:
        if verdict not in {each.verdict.id for each in self.shown.streams if each.verdict}:
            raise Absent(f"there is no verdict {verdict!r}")
        self.said.append(("acknowledge", verdict, who, note, *filter(None, [label])))

    def training(self, request: str, /) -> Training:
        self._state(request)
        where = [Lumisection(RUN, LS - 2), Lumisection(RUN, LS - 1)]
        known = Request(request, STREAM, MODEL, DIGEST, where[-1], {})
        materials = (
            Material(where[0], 1000, 40.0, Level.ACT, 0, None),
            Material(where[1], 900, None, Level.UNKNOWN, 2, Unfit.MISMATCHES),
        )
        return Training(known, State.PROPOSED, materials, growing=True)

    def step(self, request: str, event: Event, /, *, who: str, note: str) -> State:
        try:
            state = move(self._state(request), event)
        except NotAllowed as error:
            raise Refused(str(error)) from error
        self.said.append((event.value, request, who, note))
        return state

    def reload(self) -> Sequence[str]:
        if not self.shown.ready:
            raise Refused("settings: http.port: Input should be an integer; the old settings stay in force")
        self.said.append(("reload",))
        return ["models"]

    def _state(self, request: str) -> State:
        known = {each.retrain.id: each.retrain.state for each in self.shown.streams if each.retrain}
        if request not in known:
            raise Absent(f"there is no retraining request {request!r}")
        return known[request]


def acknowledged(view: StreamView) -> Acknowledgement:
    return Acknowledgement(who="shift leader", note=f"seen, {view.name}", at=NOW - 60)
