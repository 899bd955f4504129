"""The C++ that hls4ml writes for a model, made self-contained and given a door for raw integers.

This is the import-time half of the csim engine: it needs hls4ml. `emulator.engines.csim` needs a compiler only.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emulator.formats import Format

_BRIDGE = "csim_bridge.h"
_INITIALISER = re.compile(rb"^(\w+ (\w+)\[\d+\]) = \{([^{}]*)\};", re.MULTILINE)
_AP_TYPE_BACKENDS = ("Vivado", "Vitis", "VivadoAccelerator", "VitisUnified")


class Unwritable(ValueError):
    """hls4ml's C++ cannot be had for this model; the message says why."""


def write_sources(graph: Any) -> dict[str, bytes]:
    """Return the project of an hls4ml ModelGraph: path -> content, with `bridge.cpp` as its only translation unit.

    The graph's own configuration is restored afterwards. Weights are part of the headers: a project that reads them
    from text files calls `exit(1)` when the files are gone. Raises `Unwritable`.
    """
    backend = str(graph.config.config.get("Backend", "Vivado"))
    if backend not in _AP_TYPE_BACKENDS:
        raise Unwritable(
            f"hls4ml backend {backend!r} does not use the ap_fixed types; csim is there for "
            f"{', '.join(_AP_TYPE_BACKENDS)}: convert the model with one of these backends"
        )
    with tempfile.TemporaryDirectory(prefix="trigwatch-csim-") as directory, _settings(graph, directory):
        with contextlib.redirect_stdout(io.StringIO()):
            graph.write()
        firmware = Path(directory) / "firmware"
        sources = {
            f"firmware/{path.relative_to(firmware).as_posix()}": _content(path)
            for path in sorted(firmware.rglob("*"))
            if path.suffix in {".h", ".cpp"}
        }
        _refuse_unknown_functions(graph, sources)
        sources["bridge.cpp"] = _bridge(graph).encode()
    sources[_BRIDGE] = Path(__file__).with_name(_BRIDGE).read_bytes()
    return sources


def _refuse_unknown_functions(graph: Any, sources: Mapping[str, bytes]) -> None:
    """Raise `Unwritable` for a layer whose function is in no header: hls4ml writes the call all the same."""
    headers = b"".join(content for path, content in sources.items() if path.startswith("firmware/nnet_utils/"))
    known = set(re.findall(rb"\w+", headers))
    for layer in graph.get_layers():
        for name in re.findall(r"\bnnet::(\w+)", str(layer.get_attr("function_cpp", ""))):
            if name.encode() not in known:
                raise Unwritable(
                    f"layer {layer.name!r} is a {name!r}, which hls4ml's C++ has not got: train the model with another "
                    "activation or layer"
                )


def _content(path: Path) -> bytes:
    """Return a source file; weights become an array of doubles that one loop converts when the library is loaded.

    hls4ml writes one constructor call per weight, on which the compiler spends most of its time. The conversion from
    double is the same, it is only done in a loop.
    """
    content = path.read_bytes()
    if path.parent.name != "weights":
        return content
    return _INITIALISER.sub(
        rb"\1;\nstatic const double \2_values[] = {\3};\n"
        rb"static const bool \2_set = trigwatch::set(\2, \2_values);",
        content,
    )


@contextlib.contextmanager
def _settings(graph: Any, directory: str) -> Iterator[None]:
    """Write into `directory`, weights in headers, all fixed-point layers traced; then as it was before.

    The graph keeps its own Namespace: hls4ml has already written it into the calls. One process holds one model.
    """
    config = graph.config
    before, writer, tracing = dict(config.config), dict(config.writer_config), config.trace_output
    traced = {layer.name: layer.get_attr("trace") for layer in graph.get_layers()}
    config.config.update(OutputDir=directory, InputData=None, OutputPredictions=None)
    config.writer_config.update(WriteWeightsTxt=False, WriteTar=False)
    config.trace_output = True
    for layer in graph.get_layers():
        layer.set_attr("trace", all(_is_fixed_point(variable) for variable in layer.get_variables()))
    try:
        yield
    finally:
        for settings, old in ((config.config, before), (config.writer_config, writer)):
            settings.clear()
            settings.update(old)
        config.trace_output = tracing
        for layer in graph.get_layers():
            layer.set_attr("trace", traced[layer.name])


def _is_fixed_point(variable: Any) -> bool:
    try:
        Format.parse(variable.type.precision.definition_cpp())
    except (ValueError, AttributeError, NotImplementedError):
        return False
    return True


def _bridge(graph: Any) -> str:
    project = graph.config.get_project_name()
    namespace = graph.config.get_writer_config().get("Namespace")
    inputs, outputs = graph.get_input_variables(), graph.get_output_variables()
    for variable in [*inputs, *outputs]:
        if not _is_fixed_point(variable):
            raise Unwritable(
                f"tensor {variable.name!r} has type {variable.type.precision}, which is not a fixed-point type of at "
                "most 63 bits: give it one in the hls4ml configuration"
            )
    memories = [weight for weight in graph.get_weight_variables() if weight.storage.lower() == "bram"]
    layers = [
        (layer.name, variable)
        for layer in graph.get_layers()
        if layer.get_attr("function_cpp") and layer.get_attr("trace")
        for variable in layer.get_variables()
    ]
    description = [
        *(_describe("input", variable.name, variable) for variable in inputs),
        *(_describe("output", variable.name, variable) for variable in outputs),
        *(_describe("layer", name, variable) for name, variable in layers),
    ]
    arguments = ", ".join(variable.name for variable in [*inputs, *outputs, *memories])
    lines = [
        f'#include "{_BRIDGE}"',
        '#include "firmware/nnet_utils/nnet_helpers.h"',
        "#define save_layer_output keep_raw_output",
        f'#include "firmware/{project}.cpp"',
        *(f'#include "firmware/weights/{memory.name}.h"' for memory in memories),
        "namespace nnet {",
        "bool trace_enabled = false;",
        "std::map<std::string, void *> *trace_outputs = NULL;",
        "size_t trace_type_size = sizeof(double);",
        "}",
        *([f"using namespace {namespace};"] if namespace else []),
        "static void one_event(const int64_t *&in, int64_t *&out) {",
        *(f"    {variable.definition_cpp()};" for variable in [*inputs, *outputs]),
        *(f"    trigwatch::read(in, {variable.name}, {variable.size()});" for variable in inputs),
        f"    {f'{namespace}::' if namespace else ''}{project}({arguments});",
        *(f"    trigwatch::write({variable.name}, out, {variable.size()});" for variable in outputs),
        "}",
        'extern "C" {',
        "const char *trigwatch_describe() {",
        *(f'    {"return " if i == 0 else "       "}"{line}\\n"' for i, line in enumerate(description)),
        "    ;",
        "}",
        "void trigwatch_score(int64_t events, const int64_t *in, int64_t *out) {",
        "    for (int64_t i = 0; i < events; i++) one_event(in, out);",
        "}",
        "void trigwatch_trace(int64_t events, const int64_t *in, int64_t *out) {",
        f"    int64_t score[{sum(variable.size() for variable in outputs)}];",
        "    trigwatch::trace = out;",
        "    for (int64_t i = 0; i < events; i++) {",
        "        int64_t *unused = score;",
        "        one_event(in, unused);",
        "    }",
        "    trigwatch::trace = nullptr;",
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _describe(role: str, name: str, variable: Any) -> str:
    shape = "x".join(str(int(size)) for size in variable.shape)
    return f"{role} {name} {shape} {variable.type.precision.definition_cpp().replace(' ', '')}"
