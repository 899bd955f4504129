"""Translations of the calls that treat every element alone, and of softmax."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emulator.formats import Format, quantise
from emulator.graph import Cast, Curve, Hard, Layer, Rectifier, Scale, Sign, Softmax, Table, Tensor
from emulator.importers import tables
from emulator.importers.site import Site

_WHOLE = Format(signed=True, width=2, integer=2)
_SELU = Format(signed=False, width=16, integer=1)
_LEGACY = Format(signed=True, width=18, integer=8)
_CEILINGS = {"relu": None, "relu1": 1, "relu6": 6}


def linear(site: Site) -> Layer:
    """nnet::linear."""
    return Cast(site.name, site.reads, site.output)


def relu(site: Site) -> Layer:
    """nnet::relu, relu1, relu6."""
    return _rectifier(site, ceiling=_CEILINGS[site.call.function])


def thresholded_relu(site: Site) -> Layer:
    """nnet::thresholded_relu; hls4ml makes it of Keras' ReLU layer too."""
    parameter, fmt = _parameter(site)
    return replace(_rectifier(site), threshold=parameter, threshold_format=fmt)


def leaky_relu(site: Site) -> Layer:
    """nnet::leaky_relu."""
    parameter, fmt = _parameter(site)
    return replace(_rectifier(site), slope=np.array([parameter]), slope_format=fmt)


def prelu(site: Site) -> Layer:
    """nnet::prelu: a slope for every element."""
    alpha = site.weights[site.call.arguments[1]]
    return replace(_rectifier(site), slope=alpha.raw.reshape(-1), slope_format=alpha.format)


def _rectifier(site: Site, ceiling: int | None = None) -> Rectifier:
    return Rectifier(
        name=site.name,
        sources=site.reads,
        output=site.output,
        threshold=0,
        threshold_format=_WHOLE,
        slope=np.zeros(1, dtype=np.int64),
        slope_format=_WHOLE,
        ceiling=ceiling,
    )


def _parameter(site: Site) -> tuple[int, Format]:
    """Return the literal that the call passes, cast to the type that the call names for it."""
    fmt = site.types.format(site.call.types[1], site.name)
    return int(quantise(float(site.call.arguments[1]), fmt)), fmt


def table(site: Site) -> Layer:
    """nnet::sigmoid, tanh, softplus, softsign."""
    function, entries, fmt = site.call.function, site.config.integer("table_size"), site.format("table_t")
    return Table(
        name=site.name,
        sources=site.reads,
        output=site.output,
        table=tables.curve(function, entries, fmt),
        table_format=fmt,
        span=8 if function == "tanh" else 16,
    )


def lookup(site: Site) -> tuple[Layer, ...]:
    """nnet::unary_lut of HGQ2: the input's own bits are the place in the table."""
    stored, fmt = site.weights[site.call.arguments[2]], site.sources[0].format
    entries = stored.raw.reshape(-1)
    if len(entries) != 1 << fmt.width:
        raise site.refuse(f"a table of {len(entries)} entries for the {1 << fmt.width} values of {fmt}")
    layers, reads, integer = list[Layer](), site.reads, max(fmt.integer, 0)
    if fmt.integer < 0:  # a span is a whole number
        whole = Tensor(f"{site.output.name}_scaled", site.sources[0].shape, Format(fmt.signed, fmt.width, 0))
        up, none = Format(signed=True, width=2, integer=2 - fmt.integer), np.zeros(1, np.int64)
        layers.append(Scale(whole.name, reads, whole, np.ones(1, np.int64), up, none, _WHOLE))
        reads = (whole.name,)
    # A table begins below 0: with the bits of the negative values, which come last, or with what is never looked up.
    negative = entries[len(entries) // 2 :] if fmt.signed else np.zeros_like(entries)
    table = np.concatenate([negative, entries])[: 2 * len(negative)]
    span = (1 if fmt.signed else 2) << integer
    layers.append(Table(site.name, reads, site.output, table, stored.format, span))
    return tuple(layers)


def elu(site: Site) -> Layer:
    """nnet::elu, with alpha as a literal."""
    parameter, fmt = _parameter(site) if len(site.call.types) == 4 else (1, _WHOLE)
    return replace(_curve(site, "elu"), below=parameter, below_format=fmt)


def selu(site: Site) -> Layer:
    """nnet::selu; its lambda is a constant of 16 bits."""
    return replace(_curve(site, "selu"), above=int(quantise(1.0507009873554805, _SELU)), above_format=_SELU)


def selu_in_streams(site: Site) -> Layer:
    """nnet::selu of streams; its lambda is cast to the input's own type."""
    fmt = site.sources[0].format
    return replace(_curve(site, "selu"), above=int(quantise(1.0507009873554805, fmt)), above_format=fmt)


def _curve(site: Site, function: str) -> Curve:
    fmt = site.format("table_t")
    return Curve(
        name=site.name,
        sources=site.reads,
        output=site.output,
        table=tables.curve(function, site.config.integer("table_size"), fmt),
        table_format=fmt,
        span=8,
        above=1,
        above_format=_WHOLE,
        below=1,
        below_format=_WHOLE,
    )


def hard(site: Site) -> Layer:
    """nnet::hard_sigmoid, hard_tanh."""
    constants = site.config.constants
    slope, shift = site.format("slope"), site.format("shift")
    return Hard(
        name=site.name,
        sources=site.reads,
        output=site.output,
        slope=int(quantise(float(constants["slope"]), slope)),
        slope_format=slope,
        shift=int(quantise(float(constants["shift"]), shift)),
        shift_format=shift,
        symmetric=site.call.function == "hard_tanh",
    )


def sign(site: Site) -> Layer:
    """nnet::binary_tanh, ternary_tanh."""
    return Sign(site.name, site.reads, site.output, 2 if site.call.function == "binary_tanh" else 3)


def softmax(site: Site) -> Layer:
    """nnet::softmax, softmax_multidim."""
    config = site.config
    method = config.constants["implementation"].rsplit("::", 1)[1]
    multiple = site.call.function == "softmax_multidim"
    shell = Softmax(
        name=site.name,
        sources=site.reads,
        output=site.output,
        method=method,
        outer=config.integer("n_outer") if multiple else 1,
        slices=config.integer("n_slice"),
        inner=config.integer("n_inner") if multiple else 1,
        exp_table=np.zeros(1, dtype=np.int64),
        exp_format=_WHOLE,
        inv_table=np.zeros(1, dtype=np.int64),
        inv_format=_WHOLE,
        norm_format=None,
        accumulator=_WHOLE,
        sum_format=_WHOLE,
    )
    if shell.outer * shell.slices * shell.inner != site.output.size:
        raise site.refuse(f"{shell.slices} elements of {site.output.size} without a loop over the rest")
    if method == "argmax":
        return shell
    exponentials, inverses = config.integer("exp_table_size"), config.integer("inv_table_size")
    if method == "legacy":
        return replace(
            shell,
            exp_table=tables.legacy_exponential(exponentials, _LEGACY),
            exp_format=_LEGACY,
            inv_table=tables.legacy_inverse(inverses, _LEGACY),
            inv_format=_LEGACY,
        )
    return _tabled_softmax(site, shell, exponentials, inverses)


def _tabled_softmax(site: Site, shell: Softmax, exponentials: int, inverses: int) -> Softmax:
    stable = shell.method == "stable"
    norm = site.format("inp_norm_t") if stable else None
    index = norm or site.sources[0].format
    exp, inv, total = (site.format(name) for name in ("exp_table_t", "inv_table_t", "inv_inp_t"))
    for entries, fmt in ((exponentials, index), (inverses, total)):
        if entries & (entries - 1) or entries.bit_length() - 1 > fmt.width:
            raise site.refuse(f"a table of {entries} entries looked up with the top bits of {fmt}")
    scale = float(site.config.constants["exp_scale"])
    return replace(
        shell,
        exp_table=tables.exponential(exponentials, index, exp, scale=scale, negative=stable),
        exp_format=exp,
        inv_table=tables.inverse(inverses, total, inv),
        inv_format=inv,
        norm_format=norm,
        accumulator=site.format("accum_t"),
        sum_format=total,
    )
