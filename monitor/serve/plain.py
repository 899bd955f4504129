"""Values of the house as JSON values: no NaN, no tuples, enumerations by their word."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from monitor.decide.verdict import Verdict
from monitor.trigger.lumisection import Lumisection


def plain(value: Any) -> Any:
    """Return `value` as JSON values; what is not a number (NaN, infinity) becomes None, for JSON has no word for it.

    Raises TypeError for a value that has no JSON form.
    """
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if (named := _named(value)) is not None:
        return {name: plain(item) for name, item in named.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _scalar(value)


def _named(value: Any) -> dict[str, Any] | None:
    match value:
        case Verdict():
            return value.to_json()
        case Lumisection():
            return {"run": value.run, "ls": value.ls}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _scalar(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int():
            return value
    raise TypeError(f"{type(value).__name__} {value!r} has no JSON form")


def encode(value: Any) -> bytes:
    """Return `value` as compact UTF-8 JSON with the keys in their own order."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _key(key: Any) -> str:
    if isinstance(key, tuple):
        return ":".join(str(part) for part in key)
    return str(plain(key))
