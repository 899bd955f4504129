import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.abi.accepted import accepted_types
from emulator.abi.elf import NotALibrary, read_elf
from emulator.abi.engine import AbiEngine
from emulator.abi.manifest import BadManifest, Manifest
from emulator.abi.measure import check_lengths
from emulator.formats import Format, cast
from tests.emulators.build import GOOD, STRUCTURED, WEIGHTS, document

pytestmark = pytest.mark.csim
Opened = Callable[..., AbiEngine]
# good.cpp's, in units of 1/32
GOOD_WEIGHTS = np.array([[3, -2, 0, 7, 1, 1], [-5, 4, 1, 0, 0, 2], [1, 1, 1, 1, 1, 1], [0, 0, -3, 2, 6, -1]])


@pytest.fixture
def opened(libraries: Path) -> Iterator[Opened]:
    with contextlib.ExitStack() as stack:

        def start(name: str, **fields: Any) -> AbiEngine:
            library = libraries / name
            engine = AbiEngine(library, Manifest.from_json(document(library, **fields)))
            return stack.enter_context(contextlib.closing(engine))

        yield start


def events(count: int, *, width: int = 6) -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.integers(-(2**17), 2**17, (count, width)) >> rng.integers(0, 14, (count, 1))


def expected(raw: np.ndarray) -> np.ndarray:
    """good.cpp on raw integers: sums have 10 fraction bits, squares of 3 have 6."""
    latent = cast(raw @ GOOD_WEIGHTS.T, 10, Format.parse("ap_fixed<10,7,AP_RND_CONV,AP_SAT>"))
    loss = cast((latent**2).sum(axis=1), 6, Format.parse("ap_ufixed<18,14>"))
    return np.column_stack([loss, latent])


def test_scores_are_the_raw_integers_of_the_emulator(opened: Opened) -> None:
    engine, raw = opened("good.so", **GOOD), events(10_000)
    scores = engine.score(raw)
    assert (scores == expected(raw)).all()
    assert len(np.unique(scores, axis=0)) > 5_000
    assert engine.restarts == 0


def test_no_event_has_no_score(opened: Opened) -> None:
    assert opened("good.so", **GOOD).score(np.zeros((0, 6), np.int16)).shape == (0, 5)


@pytest.mark.parametrize("name", ["structured.so", "linked.so"])
def test_a_structure_an_array_and_a_library_to_preload_are_what_the_manifest_says(opened: Opened, name: str) -> None:
    """linked.so asks for the library by its file name, structured.so only uses what is there."""
    columns = {"columns": ["product", "flags", "sums"]}
    engine = opened(name, **{**STRUCTURED, "output": {**STRUCTURED["output"], **columns}})
    check_lengths(engine, np.array([[1, 2, 3]]))
    assert engine.score(np.array([[1, -2, 3], [-7, 9, 0]])).tolist() == [[3000 << 10, 17, -1], [0, 2, 2]]


@pytest.mark.parametrize(
    ("name", "said"), [("structured.so", "interface_factor"), ("linked.so", "libemulator_interface.so: cannot open")]
)
def test_without_its_preload_the_library_is_not_loaded_and_what_is_missing_is_named(
    opened: Opened, name: str, said: str
) -> None:
    engine = opened(name, **{**STRUCTURED, "preload": []})
    with pytest.raises(RuntimeError, match=rf"{name}: .*cannot be loaded.*{said}.*name that one in `preload`"):
        engine.score(np.zeros((1, 3), np.int64))


def test_a_path_may_have_spaces(libraries: Path, tmp_path: Path) -> None:
    library = Path(shutil.copy(libraries / "good.so", tmp_path / "my own  emulator.so"))
    with contextlib.closing(AbiEngine(library, Manifest.from_json(document(library, **GOOD)))) as engine:
        assert (engine.score(events(3)) == expected(events(3))).all()


def test_two_emulators_with_weights_of_the_same_name_are_both_right_in_turns(opened: Opened) -> None:
    first, second = opened("first.so", **WEIGHTS), opened("second.so", **WEIGHTS)
    raw = np.arange(20).reshape(10, 2)
    for _ in range(3):
        assert (first.score(raw)[:, 0] == 3 * raw[:, 0] + raw[:, 1]).all()
        assert (second.score(raw)[:, 0] == 5 * raw[:, 0] + raw[:, 1]).all()


def test_loaded_globally_into_one_process_the_second_one_would_have_the_weights_of_the_first(libraries: Path) -> None:
    code = (
        "import ctypes, os, sys; mode = getattr(os, sys.argv[3]) | os.RTLD_NOW; "
        "print([ctypes.CDLL(path, mode=mode).first_weight() for path in sys.argv[1:3]])"
    )
    paths = [str(libraries / "first.so"), str(libraries / "second.so")]
    said = {
        mode: subprocess.run(
            [sys.executable, "-c", code, *paths, mode], capture_output=True, text=True, check=True
        ).stdout.strip()
        for mode in ("RTLD_GLOBAL", "RTLD_LOCAL")
    }
    assert said == {"RTLD_GLOBAL": "[3, 3]", "RTLD_LOCAL": "[3, 5]"}


def test_threads_take_turns(opened: Opened) -> None:
    engine, raw = opened("good.so", **GOOD), events(400)
    answers: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i: answers.update({i: engine.score(raw[i * 50 : i * 50 + 50])}))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (np.vstack([answers[i] for i in range(8)]) == expected(raw)).all()


def test_a_type_that_the_library_does_not_accept_is_refused_before_anything_runs(opened: Opened) -> None:
    with pytest.raises(
        BadManifest, match=r"declares input type 'ap_fixed<16,13,AP_TRN,AP_WRAP>', the library accepts .*ap_fixed<18,13"
    ):
        opened("good.so", **{**GOOD, "input": {"type": "ap_fixed<16,13>", "length": 6}})


def test_a_type_that_is_accepted_on_the_other_side_only_is_an_answer_of_none(opened: Opened) -> None:
    engine = opened("good.so", **{**GOOD, "output": {"type": "ap_fixed<18,13>"}})
    with pytest.raises(BadManifest, match=r"read_result threw std::bad_any_cast"):
        check_lengths(engine, np.zeros((1, 6), np.int64))


@pytest.mark.parametrize("length", [1, 5, 7, 40])
def test_a_wrong_input_length_is_refused_with_the_one_that_is_read(opened: Opened, length: int) -> None:
    engine = opened("good.so", **{**GOOD, "input": {"type": "ap_fixed<18,13>", "length": length}})
    with pytest.raises(BadManifest, match=rf"declares {length} x 'ap_fixed<18,13,.*as input, the library reads 6"):
        check_lengths(engine, np.zeros((1, length), np.int64))


@pytest.mark.parametrize("length", [2, 3])
def test_a_wrong_output_length_is_refused_with_the_bytes_that_were_written(opened: Opened, length: int) -> None:
    engine = opened("first.so", **{**WEIGHTS, "output": {"type": "int", "length": length}})
    with pytest.raises(BadManifest, match=rf"as output, {4 * length} bytes; the library wrote 4"):
        check_lengths(engine, np.array([[1, 2]]))


@pytest.mark.parametrize("fill", [0xA5, 0x5A])
def test_a_result_that_looks_like_what_was_there_before_counts_as_written(opened: Opened, fill: int) -> None:
    result = int.from_bytes(bytes([fill] * 4), "little", signed=True)
    engine = opened("first.so", **WEIGHTS)
    assert engine.score(np.array([[0, result]])).tolist() == [[result]]
    check_lengths(engine, np.array([[0, result]]))


def test_a_result_that_is_longer_than_declared_is_measured(opened: Opened) -> None:
    fields = {"input": {"type": "ap_int<10>", "length": 2}, "output": {"type": "ap_int<12>"}}
    with pytest.raises(BadManifest, match="as output, 2 bytes; the library wrote 4"):
        check_lengths(opened("moody.so", **fields), np.array([[7, 0]]))


def test_a_library_that_is_none_is_named(opened: Opened, libraries: Path) -> None:
    (libraries / "text.txt").write_text("not a library")
    with pytest.raises(NotALibrary, match=r"text\.txt: it starts with b'not '"):
        opened("text.txt", **GOOD)


def test_inputs_that_are_not_the_models_are_refused(opened: Opened) -> None:
    engine = opened("good.so", **GOOD)
    with pytest.raises(ValueError, match=r"int64 \(2, 4\), the model takes integers \(n, 6\)"):
        engine.score(np.zeros((2, 4), np.int64))
    with pytest.raises(ValueError, match="event 1, input 2 is 131072, its format holds -131072 to 131071"):
        engine.score(np.array([[0] * 6, [0, 0, 2**17, 0, 0, 0]]))


def test_there_are_no_layers_to_trace(opened: Opened) -> None:
    with pytest.raises(ValueError, match=r"good\.so is a compiled emulator and shows no layers"):
        opened("good.so", **GOOD).trace(np.zeros((2, 6), np.int64))


def test_the_model_stays_out_of_this_process(opened: Opened, libraries: Path) -> None:
    opened("good.so", **GOOD).score(events(10))
    accepted_types(read_elf((libraries / "good.so").read_bytes()))
    assert "good.so" not in Path("/proc/self/maps").read_text()
