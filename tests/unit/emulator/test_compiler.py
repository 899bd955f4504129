"""The cache of compiled libraries: what is loaded from it is what was compiled into it."""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.engines.compiler import FLAGS, NotCompiled, installed, library_of

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

SOURCES = {"seven.cpp": b'extern "C" int seven() { return 7; }\n'}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "short": lambda content: content[:9],
    "zeroed": lambda content: content[:4096] + bytes(len(content) - 4096),
    "one bit": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "longer": lambda content: content + b"\0",
}


def library(cache: Path) -> Path:
    return library_of(SOURCES, unit="seven.cpp", kind="test", cache=cache)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_library_is_compiled_again_and_the_log_says_so(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = library(tmp_path)
    assert not caplog.messages
    whole = made.read_bytes()
    made.write_bytes(DAMAGES[damage](whole))
    assert library(tmp_path).read_bytes() == whole  # before it is loaded: a damaged one would end this process
    assert ctypes.CDLL(str(made)).seven() == 7
    assert caplog.messages == [f"{made} is not what was compiled into it: it is compiled again"]
    assert list(tmp_path.iterdir()) == [made]


def test_a_damaged_library_that_cannot_be_compiled_again_is_not_returned(tmp_path: Path) -> None:
    made = library(tmp_path)
    made.write_bytes(made.read_bytes()[:5000])
    broken = dataclasses.replace(installed(FLAGS), command="/bin/false")
    with pytest.raises(NotCompiled, match="/bin/false ended with status 1"):
        library_of(SOURCES, unit="seven.cpp", kind="test", tool=broken, cache=tmp_path)


def test_something_else_in_the_librarys_place_is_no_library(tmp_path: Path) -> None:
    made = library(tmp_path)
    made.unlink()
    (made / "inside").mkdir(parents=True)
    with pytest.raises(NotCompiled, match=r"cannot be kept in .*directory.*: set XDG_CACHE_HOME"):
        library(tmp_path)


def test_several_may_compile_a_damaged_library_again_at_the_same_time(tmp_path: Path) -> None:
    made = library(tmp_path)
    whole = made.read_bytes()
    made.write_bytes(whole[:5000])
    with ThreadPoolExecutor(4) as pool:
        for path in pool.map(library, [tmp_path] * 8):
            assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [made]


def test_a_cache_that_is_named_from_here_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that load the library have another working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "near")
    library = library_of({"empty.cpp": b"int x;"}, unit="empty.cpp", kind="test")
    assert library.is_relative_to(tmp_path / "near")
    assert library.is_file()
