"""The C++ compiler of this machine, and the shared libraries that it made: cached by sources, compiler and flags.

Behind a cached library stands the SHA-256 of what comes before it, which no loader looks at. What a power loss or a
full disk left would end the process that loads it, so it is compiled again instead. It is one file, since two cannot be
replaced in one move.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FLAGS = ("-O2", "-fPIC", "-shared", "-fno-gnu-unique", "-w")
"""For other people's C++: its warnings are its own affair."""

STANDARDS = ("-std=c++23", "-std=c++17", "-std=c++11")
"""Newest first: hls4ml's own build script takes the newest that the compiler knows."""

_COMPILE_SECONDS = 900.0
_LOG = logging.getLogger(__name__)


class NotCompiled(RuntimeError):
    """C++ could not be compiled here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C++ compiler: its command, its version as it says it itself, and the flags we use."""

    command: str
    version: str
    flags: tuple[str, ...]

    def run(self, *arguments: str, directory: Path) -> str:
        """Run it with our flags and `arguments` in `directory`; return what it printed. Raises `NotCompiled`."""
        return _run([self.command, *self.flags, *arguments], directory)

    def defined(self) -> Mapping[str, str]:
        """Return the macros that the compiler defines by itself: what `-march=native` means on this machine."""
        said = self.run("-dM", "-E", "-x", "c++", os.devnull, directory=Path(tempfile.gettempdir()))
        words = (line.split(maxsplit=2) for line in said.splitlines())
        return {parts[1]: parts[2] if len(parts) > 2 else "" for parts in words}


@functools.cache
def installed(flags: tuple[str, ...], *, standards: tuple[str, ...] = STANDARDS) -> Compiler:
    """Return the C++ compiler in use, `$CXX` or g++, with the first of `standards` that it knows, and `flags`.

    Raises `NotCompiled` where there is none.
    """
    command = os.environ.get("CXX") or "g++"
    path = shutil.which(command)
    if path is None:
        raise NotCompiled(
            f"a C++ compiler is needed and {command!r} is not installed: install g++ (Debian: `apt install g++`) or "
            "name another compiler in CXX"
        )
    with tempfile.TemporaryDirectory(prefix="trigwatch-cxx-") as build:
        version = _run([path, "--version"], Path(build)).splitlines()[0].strip()
        (Path(build) / "empty.cpp").touch()
        for standard in standards:
            try:
                _run([path, standard, "-fsyntax-only", "empty.cpp"], Path(build))
            except NotCompiled:
                continue
            return Compiler(path, version, (standard, *flags))
    raise NotCompiled(f"{path} ({version}) knows none of {', '.join(standards)}: install a newer g++")


def library_of(
    sources: Mapping[str, bytes],
    *,
    unit: str,
    kind: str,
    tool: Compiler | None = None,
    machine: Mapping[str, str] | None = None,
    cache: Path | None = None,
) -> Path:
    """Return the shared library of `sources`, compiling it where the cache has none that is whole.

    Parameters
    ----------
    sources
        Path -> content; `unit` is the one translation unit.
    kind
        The sub-directory of the user's cache in which it is kept, unless `cache` names a directory.
    tool
        The compiler with its flags; by default the one in use with `FLAGS`.
    machine
        What the result depends on besides sources, compiler and flags.

    Raises
    ------
    NotCompiled
        No compiler, it refuses the sources, or there is nowhere to keep the library.
    """
    tool = installed(FLAGS) if tool is None else tool
    key = hashlib.sha256()
    parts = [tool.version, *tool.flags, *(f"{path}\0{_sha256(sources[path])}" for path in sorted(sources))]
    parts += [f"{name}={value}" for name, value in sorted((machine or {}).items())]
    for part in parts:
        key.update(part.encode() + b"\n")
    library = (_cache_directory(kind) if cache is None else cache) / f"{key.hexdigest()[:40]}.so"
    if not _is_whole(library):
        _compile_into(library, sources, unit=unit, tool=tool)
    return library


def _cache_directory(kind: str) -> Path:
    """Return where libraries of a kind are kept: `trigwatch/KIND` in the user's cache directory."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(root).expanduser().absolute() / "trigwatch" / kind  # workers have another working directory
    except RuntimeError as error:  # a user without an entry in passwd, as containers have them
        raise NotCompiled("there is no home directory to keep compiled models in: set XDG_CACHE_HOME") from error


def unpack_sources(sources: Mapping[str, bytes], directory: Path) -> None:
    """Write the files under `directory`; raises ValueError where a path would leave it."""
    for name, content in sources.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"source file {name!r} would be written outside of its project")
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)


def _is_whole(library: Path) -> bool:
    """Whether a library is there as it was compiled; a line in the log if it is there otherwise."""
    try:
        content = memoryview(library.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        _LOG.warning("%s cannot be read (%s): it is compiled again", library, error.strerror)
        return False
    size = hashlib.sha256().digest_size
    whole = hashlib.sha256(content[:-size]).digest() == content[-size:]
    if not whole:
        _LOG.warning("%s is not what was compiled into it: it is compiled again", library)
    return whole


def _compile_into(library: Path, sources: Mapping[str, bytes], *, unit: str, tool: Compiler) -> None:
    """Compile beside the library and move it into place: several processes may do so at the same time."""
    try:
        library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent, prefix="build-") as directory:
            unpack_sources(sources, Path(directory))
            tool.run(unit, "-o", "model.so", directory=Path(directory))
            _seal(Path(directory) / "model.so")
            (Path(directory) / "model.so").replace(library)
    except OSError as error:
        raise NotCompiled(
            f"compiled models cannot be kept in {library.parent} ({error.strerror}): set XDG_CACHE_HOME to a directory "
            "that this process may write"
        ) from error


def _seal(library: Path) -> None:
    """Put the checksum behind what was compiled, and both onto the disk."""
    with library.open("rb+") as file:
        file.write(hashlib.file_digest(file, "sha256").digest())
        file.flush()
        os.fsync(file.fileno())


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


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
