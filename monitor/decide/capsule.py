"""What is needed to replay one mismatch, anywhere, years later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.decide.verdict import identify
from monitor.trigger.lumisection import Lumisection

SCHEMA, EXPLAINED = "capsule/1", "capsule/2"


@dataclass(frozen=True, slots=True)
class Capsule:
    """One event on which hardware and emulation disagree; all numbers raw.

    `digest` names the model that emulated it, `label` what the menu announced. With a hypothesis or a trace it is
    written as `capsule/2`; both are read.

    Attributes
    ----------
    hypothesis
        What reproduced the sample that this event was taken from, "" if nothing did.
    trace
        What the hardware's layers gave for the event, where the hardware shows them: (layer, raw values, flat).
    """

    stream: str
    label: str
    digest: str
    lumisection: Lumisection
    orbit: int
    bx: int
    event: int
    inputs: tuple[int, ...]
    hardware: tuple[int, ...]
    emulated: tuple[int, ...]
    hypothesis: str = ""
    trace: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def schema(self) -> str:
        """The oldest schema that can say all of it."""
        return EXPLAINED if self.hypothesis or self.trace else SCHEMA

    @property
    def id(self) -> str:
        """Digest of the content: the same event gives the same capsule on every machine."""
        return identify(self.schema, *(f"{name}={value}" for name, value in sorted(self._content().items())))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` reads back."""
        return {"schema": self.schema, "id": self.id, **self._content()}

    def _content(self) -> dict[str, Any]:
        return {
            "stream": self.stream,
            "label": self.label,
            "digest": self.digest,
            "run": self.lumisection.run,
            "ls": self.lumisection.ls,
            "orbit": self.orbit,
            "bx": self.bx,
            "event": self.event,
            "inputs": list(self.inputs),
            "hardware": list(self.hardware),
            "emulated": list(self.emulated),
            **({} if self.schema == SCHEMA else self._explained()),
        }

    def _explained(self) -> dict[str, Any]:
        return {"hypothesis": self.hypothesis, "trace": [[layer, list(values)] for layer, values in self.trace]}

    @classmethod
    def from_json(cls, value: Any) -> Capsule:
        """Read what `to_json` wrote; raises ValueError that says what is wrong."""
        schema = value.get("schema") if isinstance(value, Mapping) else f"that of a {type(value).__name__}"
        if schema not in {SCHEMA, EXPLAINED}:
            raise ValueError(f"schema is {schema!r}, not {SCHEMA!r} or {EXPLAINED!r}: this is not a capsule")
        try:
            capsule = cls(
                stream=str(value["stream"]),
                label=str(value["label"]),
                digest=str(value["digest"]),
                lumisection=Lumisection(int(value["run"]), int(value["ls"])),
                orbit=int(value["orbit"]),
                bx=int(value["bx"]),
                event=int(value["event"]),
                inputs=tuple(int(each) for each in value["inputs"]),
                hardware=tuple(int(each) for each in value["hardware"]),
                emulated=tuple(int(each) for each in value["emulated"]),
                hypothesis=str(value.get("hypothesis", "")),
                trace=tuple((str(layer), tuple(int(v) for v in values)) for layer, values in value.get("trace", [])),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a capsule lacks or garbles {error}: take the file as the store wrote it") from error
        if value.get("id") not in {None, capsule.id}:
            raise ValueError(f"the capsule says it is {value['id']!r}, its content is {capsule.id!r}: it was changed")
        return capsule
