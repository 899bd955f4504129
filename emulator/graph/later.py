"""Fields that a layer got after cards of it had been written.

At its default such a field is no part of a program's bytes: an old card keeps its digest, and is read as it was meant.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

LATER = MappingProxyType({"later": True})
"""What `dataclasses.field(default=…, metadata=LATER)` marks such a field with."""


def is_told(field: dataclasses.Field[object], value: object) -> bool:
    """Say whether a layer's bytes tell this field."""
    return not (field.metadata.get("later") and value is field.default)
