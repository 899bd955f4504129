"""hls4ml's own compiled C++ as an engine: the reference that the other engines are certified against.

It needs a C++ compiler once (the library is cached by digest, compiler and flags) and runs in a process of its own.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format
from emulator.graph.tensor import Tensor
from emulator.worker import Worker

# hls4ml's build script uses the newest standard that the compiler knows; warnings are the ap types' own affair.
FLAGS = ("-O2", "-fPIC", "-shared", "-fno-gnu-unique", "-w", "-Ifirmware", "-Ifirmware/ap_types")
STANDARDS = ("-std=c++23", "-std=c++17", "-std=c++11")
_COMPILE_SECONDS = 900.0


class NotCompiled(RuntimeError):
    """The model's C++ could not be compiled here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler: its command, its version as it says it itself, and the flags we use."""

    command: str
    version: str
    flags: tuple[str, ...]


class CsimEngine:
    """A compiled hls4ml project in a worker process.

    Parameters
    ----------
    sources
        What `emulator.engines.csim_sources.write_sources` returned: path -> content.
    cache
        Where compiled libraries are kept; by default `trigwatch/csim` in the user's cache directory.
    deadline
        Seconds that 4,096 events may take before the worker is ended.

    Attributes
    ----------
    inputs, outputs, layers
        The tensors in order; `layers` is what `trace` returns.
    """

    name = "csim"

    def __init__(self, sources: Mapping[str, bytes], *, cache: Path | None = None, deadline: float = 60.0) -> None:
        self._worker = Worker(compiled(sources, cache=cache), deadline=deadline)
        tensors = [_tensor(line) for line in self._worker.description.splitlines()]
        self.inputs = tuple(tensor for role, tensor in tensors if role == "input")
        self.outputs = tuple(tensor for role, tensor in tensors if role == "output")
        self.layers = tuple(tensor for role, tensor in tensors if role == "layer")
        # Set as they are, bits beyond the format would be lost in silence.
        self._low = np.concatenate([np.full(tensor.size, tensor.format.low) for tensor in self.inputs])
        self._high = np.concatenate([np.full(tensor.size, tensor.format.high) for tensor in self.inputs])

    @property
    def restarts(self) -> int:
        """How often a dead worker was replaced."""
        return self._worker.restarts

    def score(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores int64 (n, outputs) of raw inputs (n, inputs); raises WorkerDied or WorkerHung."""
        return self._worker.run(self._checked(raw), width=sum(tensor.size for tensor in self.outputs))

    def trace(self, raw: NDArray[np.integer]) -> list[tuple[str, NDArray[np.int64]]]:
        """Return every fixed-point layer's raw output (n, …), in the order of computation."""
        flat = self._worker.run(self._checked(raw), width=sum(tensor.size for tensor in self.layers), operation="trace")
        traced, column = [], 0
        for tensor in self.layers:
            values = flat[:, column : column + tensor.size].reshape(len(flat), *tensor.shape)
            traced.append((tensor.name, values))
            column += tensor.size
        return traced

    def close(self) -> None:
        """End the worker process; idempotent."""
        self._worker.close()

    def _checked(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        if raw.ndim != 2 or raw.shape[1] != len(self._low) or raw.dtype.kind not in "iu":
            raise ValueError(f"raw inputs are {raw.dtype} {raw.shape}, the model takes integers (n, {len(self._low)})")
        outside = (raw < self._low) | (raw > self._high)
        if outside.any():
            event, column = (int(i) for i in np.argwhere(outside)[0])
            raise ValueError(
                f"event {event}, input {column} is {raw[event, column]}, its format holds {self._low[column]} to "
                f"{self._high[column]}: wrong column order, model or units?"
            )
        return np.ascontiguousarray(raw, np.int64)


def compiled(sources: Mapping[str, bytes], *, cache: Path | None = None) -> Path:
    """Return the shared library of `sources`, compiling it where the cache has none. Raises `NotCompiled`."""
    tool = compiler()
    key = hashlib.sha256()
    for part in (tool.version, *tool.flags, *(f"{path}\0{_sha256(sources[path])}" for path in sorted(sources))):
        key.update(part.encode() + b"\n")
    directory = _cache_directory() if cache is None else cache
    library = directory / f"{key.hexdigest()[:40]}.so"
    if not library.exists():
        _compile_into(library, sources, tool)
    return library


def _compile_into(library: Path, sources: Mapping[str, bytes], tool: Compiler) -> None:
    """Compile beside the library and move it into place: two processes may do so at the same time."""
    try:
        library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        build = tempfile.TemporaryDirectory(dir=library.parent, prefix="build-")
    except OSError as error:
        raise NotCompiled(
            f"compiled models cannot be kept in {library.parent} ({error.strerror}): set XDG_CACHE_HOME to a directory "
            "that this process may write"
        ) from error
    with build as directory:
        unpack_sources(sources, Path(directory))
        _run([tool.command, *tool.flags, "bridge.cpp", "-o", "model.so"], Path(directory))
        (Path(directory) / "model.so").replace(library)


def needed_sources(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that the compiler really reads: hls4ml writes many headers that a model does not use."""
    tool = compiler()
    with tempfile.TemporaryDirectory(prefix="trigwatch-csim-") as build:
        unpack_sources(sources, Path(build))
        said = _run([tool.command, *tool.flags, "-MM", "bridge.cpp"], Path(build))
    names = said.replace("\\\n", " ").split(":", 1)[1].split()
    wanted = {os.path.normpath(name) for name in names}
    return {path: content for path, content in sources.items() if path in wanted}


@functools.cache
def compiler() -> Compiler:
    """Return the C++ compiler in use: `$CXX`, or g++. Raises `NotCompiled` where there is none."""
    command = os.environ.get("CXX") or "g++"
    path = shutil.which(command)
    if path is None:
        raise NotCompiled(
            f"the csim engine needs a C++ compiler and {command!r} is not installed: install g++ (Debian: "
            "`apt install g++`) or name another compiler in CXX"
        )
    with tempfile.TemporaryDirectory(prefix="trigwatch-csim-") as build:
        version = _run([path, "--version"], Path(build)).splitlines()[0].strip()
        (Path(build) / "empty.cpp").touch()
        for standard in STANDARDS:
            try:
                _run([path, standard, "-fsyntax-only", "empty.cpp"], Path(build))
            except NotCompiled:
                continue
            return Compiler(path, version, (standard, *FLAGS))
    raise NotCompiled(f"{path} ({version}) knows none of {', '.join(STANDARDS)}: install a newer g++")


def unpack_sources(sources: Mapping[str, bytes], directory: Path) -> None:
    """Write the files under `directory`; raises ValueError where a path would leave it."""
    for name, content in sources.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"source file {name!r} would be written outside of its project")
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def _run(command: list[str], directory: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own compiler, no shell
            command, cwd=directory, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotCompiled(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-300:])
        raise NotCompiled(f"{command[0]} ended with status {done.returncode}: {first.strip()}")
    return done.stdout


def _tensor(line: str) -> tuple[str, Tensor]:
    role, name, shape, spelling = line.split()
    return role, Tensor(name, tuple(int(size) for size in shape.split("x")), Format.parse(spelling))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(root).expanduser() / "trigwatch" / "csim"
    except RuntimeError as error:  # a user without an entry in passwd, as containers have them
        raise NotCompiled("there is no home directory to keep compiled models in: set XDG_CACHE_HOME") from error
