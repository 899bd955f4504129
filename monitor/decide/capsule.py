"""What is needed to replay one mismatch, anywhere, years later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.decide.verdict import identify
from monitor.trigger.lumisection import Lumisection

SCHEMA = "capsule/1"


@dataclass(frozen=True, slots=True)
class Capsule:
    """One event on which hardware and emulation disagree; all numbers raw.

    `digest` names the model that emulated it, `label` what the menu announced.
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

    @property
    def id(self) -> str:
        """Digest of the content: the same event gives the same capsule on every machine."""
        return identify(SCHEMA, *(f"{name}={value}" for name, value in sorted(self._content().items())))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` reads back."""
        return {"schema": SCHEMA, "id": self.id, **self._content()}

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
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Capsule:
        """Read what `to_json` wrote; raises ValueError that says what is wrong."""
        if value.get("schema") != SCHEMA:
            raise ValueError(f"schema is {value.get('schema')!r}, not {SCHEMA!r}: this is not a capsule")
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
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a capsule lacks or garbles {error}: take the file as the store wrote it") from error
        if value.get("id") not in {None, capsule.id}:
            raise ValueError(f"the capsule says it is {value['id']!r}, its content is {capsule.id!r}: it was changed")
        return capsule
