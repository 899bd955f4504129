"""The lengths that an emulator really reads and writes: its binary interface does not say them."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
from numpy.typing import NDArray

from emulator.abi.engine import AbiEngine
from emulator.abi.manifest import BadManifest
from emulator.formats import Raw
from emulator.poison import Poison

_LONGEST = 16_384
_REACH = 65_536  # as in shim.cpp


def check_lengths(engine: AbiEngine, raw: Raw) -> None:
    """Compare the declared lengths with what the emulator does with the inputs `raw` (n, inputs).

    The result is read into a buffer that is much larger than declared, twice with other bytes in it: what changed was
    written. The inputs lie at the end of memory that may be read, so one element too few is a crash, and one too many
    is found because one fewer is none.

    Raises
    ------
    BadManifest
        The manifest says otherwise; the message names both lengths.
    WorkerDied, WorkerHung
        The emulator fails on an input.
    """
    _check_inputs(engine)
    _check_written(engine, raw)


def _check_written(engine: AbiEngine, raw: Raw) -> None:
    output = engine.manifest.output
    declared = f"the manifest declares {output.length} x {output.kind.spelling!r} as output, {output.bytes} bytes"
    written: NDArray[np.bool_] = np.asarray(engine.written(raw, reach=_REACH).any(axis=0))
    last = int(np.flatnonzero(written)[-1]) + 1 if written.any() else 0
    end = int(np.flatnonzero(output.written)[-1]) + 1
    if not end <= last <= output.bytes:
        raise BadManifest(f"{declared}; the library wrote {last}: correct `length` or `type` of `output`")
    unset = np.flatnonzero(output.written & ~written[: output.bytes])
    if len(unset):
        raise BadManifest(
            f"{declared}; the library leaves {len(unset)} of them as they were, byte {unset[0]} first: it does not "
            "fill its result, so nothing can be compared"
        )


def _check_inputs(engine: AbiEngine) -> None:
    declared = engine.manifest.input
    failure = _failure(engine, length=declared.length)
    if failure is None and (declared.length == 1 or _failure(engine, length=declared.length - 1)):
        return
    high = declared.length
    while failure is not None and high < _LONGEST:
        high = 2 * high
        failure = _failure(engine, length=high)
    if failure is not None:
        raise BadManifest(f"the library fails on inputs of zero, whatever their number: {failure}")
    low = 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _failure(engine, length=middle) is None else (middle + 1, high)
    raise BadManifest(
        f"the manifest declares {declared.length} x {declared.kind.spelling!r} as input, the library reads {low}: "
        "correct `length` of `input`"
    )


def _failure(engine: AbiEngine, *, length: int) -> str | None:
    """Return what the emulator dies of with `length` readable elements, all zero; None if it lives."""
    manifest = engine.manifest
    other = dataclasses.replace(manifest, input=dataclasses.replace(manifest.input, length=length))
    zeros = np.zeros((1, sum(tensor.size for tensor in other.input.tensors)), np.int64)
    with contextlib.closing(AbiEngine(engine.library, other)) as tried:
        try:
            tried.score(zeros)
        except Poison as poison:
            return poison.why[0]
    return None
