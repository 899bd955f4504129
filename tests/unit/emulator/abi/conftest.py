"""Emulators, compiled once."""

from pathlib import Path

import pytest

from tests.emulators.build import HERE, build


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled emulators; first and second differ in a weight, hidden and mute in what they export."""
    folder, cache = tmp_path_factory.mktemp("emulators"), tmp_path_factory.mktemp("cache")
    for name in ("good", "moody", "remembers", "structured"):
        build(name, folder / f"{name}.so", cache=cache)
    build("weights", folder / "first.so", "-DWEIGHT=3", cache=cache)
    build("weights", folder / "second.so", "-DWEIGHT=5", cache=cache)
    build("good", folder / "hidden.so", "-fvisibility=hidden", cache=cache)
    script = HERE / "only_the_interface.map"
    build("good", folder / "mute.so", f"-Wl,--version-script={script}", cache=cache)
    build("moody", folder / "rarely_moody.so", "-DSHIFT=251", cache=cache)
    build("interface", folder / "libemulator_interface.so", cache=cache)
    # As CMS does: the interface library has no name of its own (-soname), and models are linked with it.
    build("structured", folder / "linked.so", f"-L{folder}", "-Wl,--no-as-needed", "-lemulator_interface", cache=cache)
    return folder
