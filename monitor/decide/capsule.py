"""What is needed to replay one mismatch, anywhere, years later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from monitor.decide.verdict import identify
from monitor.trigger.lumisection import Lumisection

SCHEMA, EXPLAINED = "capsule/1", "capsule/2"
_REMEDY = "take the file as the store wrote it"


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
        found = _Fields({"hypothesis": "", "trace": [], **value})
        capsule = cls(
            stream=found.text("stream"),
            label=found.text("label"),
            digest=found.text("digest"),
            lumisection=Lumisection(found.count("run"), found.count("ls")),
            orbit=found.count("orbit"),
            bx=found.count("bx"),
            event=found.count("event"),
            inputs=found.raw("inputs"),
            hardware=found.raw("hardware"),
            emulated=found.raw("emulated"),
            hypothesis=found.text("hypothesis") if schema == EXPLAINED else "",
            trace=found.trace() if schema == EXPLAINED else (),
        )
        if value.get("id") not in {None, capsule.id}:
            raise ValueError(f"the capsule says it is {value['id']!r}, its content is {capsule.id!r}: it was changed")
        return capsule


class _Fields:
    """The parts of a capsule's JSON, each of its own kind; raises ValueError with name, value and remedy."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._value = value

    def text(self, name: str) -> str:
        found = self._get(name)
        return found if isinstance(found, str) else self._refuse(name, found)

    def count(self, name: str) -> int:
        found = self._get(name)
        return int(found) if _is_raw(found) and found >= 0 else self._refuse(name, found)

    def raw(self, name: str) -> tuple[int, ...]:
        found = self._get(name)
        return tuple(found) if _are_raw(found) else self._refuse(name, found)

    def trace(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        found = self._get("trace")
        pairs = isinstance(found, list) and all(isinstance(each, list) and len(each) == 2 for each in found)
        if not pairs or not all(isinstance(layer, str) and _are_raw(values) for layer, values in found):
            self._refuse("trace", found)
        return tuple((layer, tuple(values)) for layer, values in found)

    def _get(self, name: str) -> Any:
        if name not in self._value:
            raise ValueError(f"the capsule lacks {name!r}: {_REMEDY}")
        return self._value[name]

    def _refuse(self, name: str, found: Any) -> NoReturn:
        raise ValueError(f"the capsule's {name!r} is {found!r:.60}, which no capsule says: {_REMEDY}")


def _is_raw(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _are_raw(values: Any) -> bool:
    return isinstance(values, list) and all(_is_raw(each) for each in values)
