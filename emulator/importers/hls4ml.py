"""From an hls4ml ModelGraph, as hls4ml would compile it, to an integer program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from emulator.formats import Format
from emulator.graph import Layer, NotExact, Program, Tensor
from emulator.importers import (
    activations,
    bits,
    convolutions,
    dense,
    einsums,
    embeddings,
    generated,
    moves,
    normalisation,
    recurrent,
    sums,
)
from emulator.importers.cpp import Call, parse_call, parse_structs
from emulator.importers.site import Site, Types, stored

Translation = Callable[[Site], Layer]
Composite = Callable[[Site], tuple[Layer, ...]]

TRANSLATIONS: Mapping[str, Translation] = MappingProxyType(
    {
        **dict.fromkeys(("depthwise_conv_1d_cl", "depthwise_conv_2d_cl"), convolutions.depthwise),
        **dict.fromkeys(("pooling1d_cl", "pooling2d_cl", "global_pooling1d_cl", "global_pooling2d_cl"), sums.pooling),
        **dict.fromkeys(("add", "subtract", "multiply", "average", "maximum", "minimum"), sums.merge),
        "dot1d": sums.dot,
        "einsum": einsums.einsum,
        **dict.fromkeys(("concatenate1d", "concatenate2d", "concatenate3d"), moves.concatenate),
        "transpose": moves.transpose,
        **dict.fromkeys(("zeropad1d_cl", "zeropad2d_cl"), moves.zero_padding),
        **dict.fromkeys(("cropping1d_cl", "cropping2d_cl"), moves.cropping),
        "resize_nearest": moves.resize_nearest,
        "linear": activations.linear,
        **dict.fromkeys(("relu", "relu1", "relu6"), activations.relu),
        "thresholded_relu": activations.thresholded_relu,
        "leaky_relu": activations.leaky_relu,
        "prelu": activations.prelu,
        **dict.fromkeys(("sigmoid", "tanh", "softplus", "softsign"), activations.table),
        "elu": activations.elu,
        "selu": activations.selu,
        **dict.fromkeys(("hard_sigmoid", "hard_tanh"), activations.hard),
        **dict.fromkeys(("binary_tanh", "ternary_tanh"), activations.sign),
        **dict.fromkeys(("softmax", "softmax_multidim"), activations.softmax),
    }
)
"""How each nnet:: function becomes a layer; what is not here has no exact program."""

COMPOSITES: Mapping[str, Composite] = MappingProxyType(
    {
        "dense": dense.dense,
        **dict.fromkeys(("conv_1d_cl", "conv_2d_cl"), convolutions.convolution),
        **dict.fromkeys(("pointwise_conv_1d_cl", "pointwise_conv_2d_cl"), convolutions.convolution),
        "normalize": bits.normalisation,
        "normalize_binary_tanh": bits.binary_threshold,
        "normalize_ternary_tanh": bits.ternary_threshold,
        "lstm_stack": recurrent.lstm,
        "gru_stack": recurrent.gru,
        "bidirectional_stack": recurrent.bidirectional,
        "einsum_dense": einsums.einsum_dense,
        "embedding": embeddings.embedding,
        "unary_lut": activations.lookup,
        "layernormalize": normalisation.layer_normalisation,
    }
)
"""How nnet:: functions become several layers."""

GENERATED: Mapping[str, Composite] = MappingProxyType(
    {"mask_fn_codegen": generated.quantiser, "da_codegen": generated.distributed_arithmetic}
)
"""How code that hls4ml wrote for one layer becomes layers, by the attribute that holds it."""

STREAMED = frozenset(
    (
        *("dense", "conv_1d_cl", "conv_2d_cl", "pointwise_conv_1d_cl", "pointwise_conv_2d_cl"),
        *("depthwise_conv_1d_cl", "depthwise_conv_2d_cl", "lstm_stack", "gru_stack"),
        *("normalize", "normalize_binary_tanh", "normalize_ternary_tanh", "embedding"),
        *("pooling1d_cl", "pooling2d_cl", "global_pooling1d_cl", "global_pooling2d_cl"),
        *(
            "add",
            "subtract",
            "multiply",
            "average",
            "maximum",
            "minimum",
            "concatenate1d",
            "concatenate2d",
            "concatenate3d",
        ),
        *("transpose", "zeropad1d_cl", "zeropad2d_cl", "cropping1d_cl", "cropping2d_cl", "resize_nearest"),
        *("linear", "relu", "thresholded_relu", "leaky_relu", "prelu", "elu"),
        *("sigmoid", "tanh", "softplus", "softsign", "hard_sigmoid", "hard_tanh", "binary_tanh", "softmax"),
        "unary_lut",
    )
)
"""What computes in `io_stream` as it does in `io_parallel`, as was seen: only the order of arrival is another.

The rest does not compile in streams, or was not compared.
"""

IN_STREAMS: Mapping[str, Composite] = MappingProxyType(
    {"selu": lambda site: (activations.selu_in_streams(site),), "ternary_tanh": bits.ternary_in_streams}
)
"""What computes in another way in `io_stream`."""

ALIASES = frozenset(("clone_stream", "repack_stream"))
"""What hands a stream on, to several readers or in another packing, as it is."""

BACKENDS = ("Vivado", "Vitis", "VivadoAccelerator")
"""Of hls4ml, those whose C++ computes as the programs do; the others compile another library."""
_IO_TYPES = ("io_parallel", "io_stream")


def import_graph(graph: Any) -> Program:
    """Translate an hls4ml ModelGraph whose backend's default flow has been applied (every converter does that).

    Raises
    ------
    NotExact
        A layer, a type or a way to compile that has no exact integer program; names the layer and the reason.
    """
    _check_kind(graph)
    types = _types(graph)
    tensors = {variable.name: _tensor(variable, types, "input") for variable in graph.get_input_variables()}
    inputs = tuple(tensors.values())
    layers: list[Layer] = []
    for node in graph.get_layers():
        call = _call(node)
        if call is None:
            _follow(node, tensors, types)
            continue
        if call.function in ALIASES:
            _hand_on(node, call, tensors, types)
            continue
        for layer in _translated(node, call, tensors=tensors, types=types):
            layers.append(layer)
            tensors[layer.output.name] = layer.output
    outputs = tuple(tensors[variable.name].name for variable in graph.get_output_variables())
    return Program(inputs, tuple(layers), outputs)


def _check_kind(graph: Any) -> None:
    backend = str(graph.config.config.get("Backend"))
    if backend not in BACKENDS:
        raise NotExact("the model", f"hls4ml backend {backend} is not one of {', '.join(BACKENDS)}")
    kind = graph.config.get_config_value("IOType")
    if kind not in _IO_TYPES:
        raise NotExact("the model", f"{kind} is not one of {', '.join(_IO_TYPES)}")


def _types(graph: Any) -> Types:
    spellings: dict[str, str] = {}
    for node in graph.get_layers():
        for name, named in node.get_layer_precision().items():
            spellings.setdefault(name, _spelling(named))
    return Types(spellings)


def _spelling(named: Any) -> str:
    try:
        return str(named.precision.definition_cpp())
    except (AttributeError, NotImplementedError):
        return str(named.precision)


def _call(node: Any) -> Call | None:
    """Return the layer's call, None for a layer that compiles to nothing (input, reshape)."""
    text = node.get_attr("function_cpp", None)
    if not text:
        return None
    call = parse_call(text) if isinstance(text, str) else None
    if call is None:
        raise NotExact(node.name, f"{node.class_name} is generated code, not one call of nnet_utils")
    return call


def _follow(node: Any, tensors: dict[str, Tensor], types: Types) -> None:
    """Give the output of a reshape the tensor that it is another name of."""
    for variable in node.get_variables():
        if variable.name in tensors:
            continue
        origin = getattr(variable, "input_var", None)
        if origin is None:
            raise NotExact(node.name, f"{node.class_name} compiles to nothing, but writes {variable.name!r}")
        source = tensors[origin.name]
        shape = tuple(int(size) for size in variable.shape)
        tensors[variable.name] = Tensor(source.name, shape, types.format(variable.type.name, node.name))


def _hand_on(node: Any, call: Call, tensors: dict[str, Tensor], types: Types) -> None:
    """Give every output of a clone or repack the tensor that it carries, where its type holds the same values."""
    source = next(tensors[name] for name in call.arguments if name in tensors)
    for variable in node.get_variables():
        fmt = types.format(variable.type.name, node.name)
        if not _keeps(fmt, source.format):
            raise NotExact(node.name, f"nnet::{call.function} from {source.format} to {fmt} is no mere copy")
        tensors[variable.name] = Tensor(source.name, tuple(int(size) for size in variable.shape), fmt)


def _keeps(fmt: Format, source: Format) -> bool:
    """Whether every value of `source` is itself in `fmt`: how it would round does not matter then."""
    same = (fmt.signed, fmt.width, fmt.integer) == (source.signed, source.width, source.integer)
    return same and fmt.low <= source.low


def _translated(node: Any, call: Call, *, tensors: Mapping[str, Tensor], types: Types) -> tuple[Layer, ...]:
    translation, code = _translation(node, call)
    variables = list(node.get_variables())
    if len(variables) != 1:
        raise NotExact(node.name, f"it has {len(variables)} outputs")
    site = Site(
        name=node.name,
        call=call,
        structs=parse_structs(node.get_attr("config_cpp", "") or ""),
        sources=tuple(tensors[name] for name in call.arguments if name in tensors),
        output=_tensor(variables[0], types, node.name),
        weights={weight.name: stored(weight, types, node.name) for weight in node.get_weights()},
        types=types,
        code=code,
    )
    try:
        return translation(site)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, NotExact):
            raise
        raise NotExact(node.name, f"nnet::{call.function} was not understood: {error!r}") from error


def _translation(node: Any, call: Call) -> tuple[Composite, str]:
    """Return how a layer is translated, and the code that hls4ml wrote for it alone."""
    streamed = node.model.config.get_config_value("IOType") != "io_parallel"
    if streamed and call.function in IN_STREAMS:
        return IN_STREAMS[call.function], ""
    if streamed and call.function not in STREAMED:
        raise NotExact(node.name, f"nnet::{call.function} has no translation in io_stream")
    for attribute, composite in GENERATED.items():
        if node.get_attr(attribute):
            written = (node.get_attr(name) for name in (attribute, "line_buffer_codegen"))
            return composite, "\n".join(str(each.code) for each in written if each)
    if call.function in COMPOSITES:
        return COMPOSITES[call.function], ""
    translation = TRANSLATIONS.get(call.function)
    if translation is None:
        raise NotExact(node.name, f"nnet::{call.function} has no translation")
    return lambda site: (translation(site),), ""


def _tensor(variable: Any, types: Types, layer: str) -> Tensor:
    return Tensor(variable.name, tuple(int(size) for size in variable.shape), types.format(variable.type.name, layer))
