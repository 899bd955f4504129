import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.engines.compiler import NotCompiled, installed, unpack_sources
from emulator.engines.csim import CsimEngine, compiled, needed_sources, quickened
from emulator.engines.csim_sources import Unwritable, write_sources

pytestmark = pytest.mark.csim


def graph(directory: Path, **settings: Any) -> Any:
    """A small Keras network through hls4ml: roundings, saturations, an unsigned layer, weights off their grid."""
    h5py = pytest.importorskip("h5py", reason="needs the models extra")
    converters = pytest.importorskip("hls4ml.converters.keras_v2_to_hls", reason="needs the models extra")
    rng = np.random.default_rng(5)
    sizes = (5, 7, 3)
    layers: list[dict[str, Any]] = []
    with h5py.File(directory / "weights.h5", "w") as file:
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            config: dict[str, Any] = {"name": f"fc{i}", "units": n_out, "activation": "relu", "use_bias": True}
            if i == 0:
                config["batch_input_shape"] = [None, n_in]
            layers.append({"class_name": "Dense", "config": config})
            file[f"fc{i}/fc{i}/kernel:0"] = rng.normal(0, 1, (n_in, n_out))
            file[f"fc{i}/fc{i}/bias:0"] = rng.normal(0, 1, n_out)
    model = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    (directory / "model.json").write_text(json.dumps(model))
    precision = {
        "weight": "fixed<7,3,RND,SAT>",
        "bias": "fixed<7,3,RND_CONV,SAT>",
        "accum": "fixed<18,8>",
        "result": "fixed<14,6,RND,SAT_SYM>",
    }
    config = {
        "KerasJson": str(directory / "model.json"),
        "KerasH5": str(directory / "weights.h5"),
        "OutputDir": str(directory / "project"),
        "ProjectName": "net",
        "Backend": "Vivado",
        "Part": "xcvu13p-flga2577-2-e",
        "ClockPeriod": 5,
        "IOType": "io_parallel",
        "HLSConfig": {
            "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": {
                "fc0": {"Precision": precision},
                "fc1_relu": {"Precision": {"result": "ufixed<9,5,RND,SAT>"}},
            },
        },
        "WriterConfig": {"Namespace": "net_v1", "WriteWeightsTxt": True, "WriteTar": False, "TBOutputStream": "both"},
    }
    return converters.keras_v2_to_hls(config | settings)


def inputs(n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(-(2**15), 2**15, (n, 5)) >> rng.integers(0, 12, (n, 1))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return graph(tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="module")
def sources(converted: Any) -> dict[str, bytes]:
    return needed_sources(write_sources(converted))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def csim(sources: dict[str, bytes], cache: Path) -> Iterator[CsimEngine]:
    with contextlib.closing(CsimEngine(sources, cache=cache)) as engine:
        yield engine


def test_scores_are_those_of_hls4mls_own_build_and_predict(converted: Any, csim: CsimEngine) -> None:
    raw = inputs(3000)
    converted.compile()
    predicted = converted.predict(np.ascontiguousarray(raw / 2.0**10))
    fraction = csim.outputs[0].format.fraction
    assert (predicted * 2**fraction == csim.score(raw)).all()
    assert len(np.unique(csim.score(raw), axis=0)) > 1000


def test_tensors_are_told_with_their_formats(csim: CsimEngine) -> None:
    assert [(tensor.shape, str(tensor.format)) for tensor in csim.inputs] == [((5,), "ap_fixed<16,6,AP_TRN,AP_WRAP>")]
    assert [(tensor.shape, str(tensor.format)) for tensor in csim.outputs] == [((3,), "ap_ufixed<9,5,AP_RND,AP_SAT>")]


def test_the_trace_ends_in_the_score_and_keeps_every_layers_format(csim: CsimEngine) -> None:
    raw = inputs(300)
    trace = csim.trace(raw)
    assert [name for name, _ in trace] == [tensor.name for tensor in csim.layers]
    assert (trace[-1][1] == csim.score(raw)).all()
    for tensor, (_, values) in zip(csim.layers, trace, strict=True):
        assert values.shape == (300, *tensor.shape)
        assert values.min() >= tensor.format.low
        assert values.max() <= tensor.format.high


def test_writing_the_sources_leaves_the_graphs_settings_alone(converted: Any) -> None:
    before = dict(converted.config.config), dict(converted.config.writer_config), converted.config.trace_output
    write_sources(converted)
    after = dict(converted.config.config), dict(converted.config.writer_config), converted.config.trace_output
    assert before == after


def test_the_sources_name_no_path_of_this_machine_and_are_the_same_twice(
    converted: Any, sources: dict[str, bytes]
) -> None:
    assert needed_sources(write_sources(converted)) == sources
    everything = b"\n".join(sources.values())
    assert str(Path.home()).encode() + b"/" not in everything
    assert b"trigwatch-csim-" not in everything
    assert b"load_weights_from_txt<fc" not in everything


def test_streamed_io_gives_the_same_scores_as_parallel_io(csim: CsimEngine, cache: Path, tmp_path: Path) -> None:
    raw = inputs(500)
    streamed = needed_sources(write_sources(graph(tmp_path, IOType="io_stream")))
    with contextlib.closing(CsimEngine(streamed, cache=cache)) as engine:
        assert (engine.score(raw) == csim.score(raw)).all()
        assert (engine.trace(raw)[-1][1] == csim.score(raw)).all()


def test_the_quick_build_gives_the_same_scores_and_traces(
    csim: CsimEngine, sources: dict[str, bytes], cache: Path
) -> None:
    raw = inputs(2000)
    with contextlib.closing(CsimEngine(sources, quick=True, cache=cache)) as quick:
        assert (quick.score(raw) == csim.score(raw)).all()
        for (_, mine), (_, theirs) in zip(quick.trace(raw), csim.trace(raw), strict=True):
            assert (mine == theirs).all()


def test_the_quick_build_computes_the_same_in_more_than_64_bits(cache: Path, tmp_path: Path) -> None:
    """There the function that it overloads is another one, over an array of words."""
    precision = {"accum": "fixed<90,50>", "result": "fixed<14,6,RND,SAT_SYM>"}
    config = {
        "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {"fc0": {"Precision": precision}},
    }
    wide, raw = needed_sources(write_sources(graph(tmp_path, HLSConfig=config))), inputs(1000)
    with (
        contextlib.closing(CsimEngine(wide, cache=cache)) as unchanged,
        contextlib.closing(CsimEngine(wide, quick=True, cache=cache)) as quick,
    ):
        assert (quick.score(raw) == unchanged.score(raw)).all()
        assert len(np.unique(quick.score(raw))) > 100


def test_the_quick_build_has_both_widths_clear_their_bits_without_volatile(sources: dict[str, bytes]) -> None:
    name = "firmware/ap_types/etc/ap_private.h"
    before, after = sources[name].decode(), quickened(sources)[name].decode()
    both, function = "void clearUnusedBits(void)", "void clearUnusedBits(void) volatile"
    assert (before.count(both), before.count(function)) == (2, 2)
    assert (after.count(both), after.count(function)) == (4, 2)
    assert {path for path in sources if quickened(sources)[path] != sources[path]} == {name}


def test_headers_that_look_otherwise_stay_as_they_are() -> None:
    sources = {"firmware/ap_types/etc/ap_private.h": b"void clearUnusedBits() { VAL = 0; }\n"}
    assert quickened(sources) == sources


def test_a_library_is_compiled_once(sources: dict[str, bytes], cache: Path, csim: CsimEngine) -> None:
    library = compiled(sources, cache=cache)
    written = library.stat().st_mtime_ns
    assert compiled(sources, cache=cache) == library
    assert library.stat().st_mtime_ns == written
    assert csim.restarts == 0


def test_other_sources_are_another_library(sources: dict[str, bytes], cache: Path) -> None:
    library = compiled({"bridge.cpp": b"int one;"}, cache=cache)
    assert library != compiled({"bridge.cpp": b"int two;"}, cache=cache)
    assert library != compiled(sources, cache=cache)


def test_code_that_does_not_compile_names_its_first_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotCompiled, match=r"bridge\.cpp:1:1: error: .*nonsense"):
        compiled({"bridge.cpp": b"nonsense;"}, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    try:
        with pytest.raises(NotCompiled, match=r"'no-such-compiler' is not installed: install g\+\+"):
            compiled({"bridge.cpp": b""}, cache=tmp_path)
    finally:
        installed.cache_clear()


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotCompiled, match=r"Not a directory.*: set XDG_CACHE_HOME"):
        compiled({"bridge.cpp": b""}, cache=tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.h", "a/../../outside.h"])
def test_no_source_is_written_outside_of_its_project(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="outside of its project"):
        unpack_sources({name: b""}, tmp_path / "project")


def test_a_backend_with_other_types_is_refused_by_name(converted: Any) -> None:
    before = converted.config.config["Backend"]
    converted.config.config["Backend"] = "Quartus"
    try:
        with pytest.raises(Unwritable, match="'Quartus' does not use the ap_fixed types"):
            write_sources(converted)
    finally:
        converted.config.config["Backend"] = before


def test_inputs_of_another_width_are_refused(csim: CsimEngine) -> None:
    with pytest.raises(ValueError, match=r"int64 \(2, 4\), the model takes integers \(n, 5\)"):
        csim.score(np.zeros((2, 4), np.int64))


def test_an_input_that_its_format_cannot_hold_is_named(csim: CsimEngine) -> None:
    raw = np.zeros((3, 5), np.int64)
    raw[1, 4] = 2**15
    with pytest.raises(ValueError, match="event 1, input 4 is 32768, its format holds -32768 to 32767"):
        csim.score(raw)
