"""The C++ compiler, and libraries that are built with it once and kept."""

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

FLAGS = ("-O2", "-fPIC", "-shared", "-fno-gnu-unique", "-w")
# hls4ml's build script uses the newest standard that the compiler knows.
STANDARDS = ("-std=c++23", "-std=c++17", "-std=c++11")
_COMPILE_SECONDS = 900.0


class NotCompiled(RuntimeError):
    """C++ could not be compiled here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler: its command, its version as it says it itself, and the flags we use."""

    command: str
    version: str
    flags: tuple[str, ...]

    def run(self, arguments: tuple[str, ...], directory: Path) -> str:
        """Run the compiler with its flags in `directory` and return what it printed; raises `NotCompiled`."""
        return _run([self.command, *self.flags, *arguments], directory)


@functools.cache
def compiler() -> Compiler:
    """Return the C++ compiler in use: `$CXX`, or g++. Raises `NotCompiled` where there is none."""
    command = os.environ.get("CXX") or "g++"
    path = shutil.which(command)
    if path is None:
        raise NotCompiled(
            f"this engine needs a C++ compiler and {command!r} is not installed: install g++ (Debian: "
            "`apt install g++`) or name another compiler in CXX"
        )
    with tempfile.TemporaryDirectory(prefix="trigwatch-compiler-") as build:
        version = _run([path, "--version"], Path(build)).splitlines()[0].strip()
        (Path(build) / "empty.cpp").touch()
        for standard in STANDARDS:
            try:
                _run([path, standard, "-fsyntax-only", "empty.cpp"], Path(build))
            except NotCompiled:
                continue
            return Compiler(path, version, (standard, *FLAGS))
    raise NotCompiled(f"{path} ({version}) knows none of {', '.join(STANDARDS)}: install a newer g++")


def library_of(
    sources: Mapping[str, bytes], *, unit: str, kind: str, includes: tuple[str, ...] = (), cache: Path | None = None
) -> Path:
    """Return the shared library of `sources`, compiling it where the cache has none.

    Parameters
    ----------
    sources
        Path -> content; `unit` is the one translation unit, `includes` are flags of the directories to search.
    kind
        The sub-directory of the user's cache in which it is kept, unless `cache` names a directory.

    Raises
    ------
    NotCompiled
        No compiler, it refuses the sources, or there is nowhere to keep the library.
    """
    tool = compiler()
    key = hashlib.sha256()
    contents = (f"{path}\0{hashlib.sha256(sources[path]).hexdigest()}" for path in sorted(sources))
    for part in (tool.version, *tool.flags, *includes, *contents):
        key.update(part.encode() + b"\n")
    directory = _cache_directory(kind) if cache is None else cache
    library = directory / f"{key.hexdigest()[:40]}.so"
    if not library.exists():
        _build(library, sources, (*includes, unit, "-o", "built.so"))
    return library


def unpack_sources(sources: Mapping[str, bytes], directory: Path) -> None:
    """Write the files under `directory`; raises ValueError where a path would leave it."""
    for name, content in sources.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"source file {name!r} would be written outside of its project")
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def _build(library: Path, sources: Mapping[str, bytes], arguments: tuple[str, ...]) -> None:
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
        compiler().run(arguments, Path(directory))
        (Path(directory) / "built.so").replace(library)


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


def _cache_directory(kind: str) -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(root).expanduser() / "trigwatch" / kind
    except RuntimeError as error:  # a user without an entry in passwd, as containers have them
        raise NotCompiled("there is no home directory to keep compiled models in: set XDG_CACHE_HOME") from error
