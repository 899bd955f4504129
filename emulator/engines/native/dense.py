"""Σ x·w + b as C++: which kernel is exact for a layer, and how its inputs and weights are laid out for it.

The proofs are those of `emulator.engines.gemm_dense`. Where a sum is linear, only its last bits count: 32 of them where
the accumulator wraps at 32 bits or the whole sum fits, so that products of 16 bits or of 8 may be added two or four at
a time. Where every product is cut, floor(x·(w + k·2^d) / 2^d) = floor(x·w / 2^d) + k·x brings any weight to d bits, and
the cut product is the high half of one multiplication of 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from emulator.engines.gemm_dense import Products, reach_of, trailing_zeros
from emulator.engines.gemm_signal import Signal
from emulator.engines.native.unit import Casting, Unit, checked_places, flag, limit, wider, working
from emulator.formats import Format, Overflow, Raw, Rounding, cast, rounded
from emulator.graph import Dense

_DOUBLE = 1 << 53
_DIGIT = 15


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """A sum that is still to be written.

    Attributes
    ----------
    weights, bias, reads
        Raw (inputs, outputs) and (outputs,); (positions, inputs): the element of the source that each input reads, -1
        reads 0.
    source
        What is known of the elements that are read.
    finish
        C++ name of the function from the sum to the output.
    """

    layer: Dense
    unit: Unit
    weights: Raw
    bias: Raw
    reads: Raw
    source: Signal
    finish: str = ""

    @property
    def span(self) -> tuple[int, int]:
        """Lowest and highest value that is read, the 0 of padding included."""
        return min(self.source.low, 0), max(self.source.high, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """One call of `lanes::dense`: rows, which of them each input reads, and by what it is multiplied.

    There are `held` rows. `head` inputs come first; their sum is shifted left by `shift` before the bias and the other
    inputs are added.
    """

    step: str
    rows: str
    reads: Raw
    weights: Raw
    bias: Raw
    kind: str
    held: int
    head: int = 0
    shift: int = 0
    terms: str = ""


def emit_dense(layer: Dense, source: Signal, unit: Unit) -> None:
    """Write a Dense, or a convolution."""
    accumulator = layer.accumulator
    drop = source.fraction + layer.weight_format.fraction - accumulator.fraction
    reads = np.arange(len(layer.weights))[None] if layer.gather is None else layer.gather
    total = Sum(
        layer=layer,
        unit=unit,
        weights=layer.weights,
        bias=cast(layer.bias, layer.bias_format.fraction, accumulator),
        reads=checked_places(reads, unit.tensors[layer.sources[0]][2]),
        source=source,
    )
    kernel, finish = _whole(total, -drop) if drop <= 0 else _cut(total, drop)
    _say(kernel, replace(total, finish=finish))


def _whole(total: Sum, left: int) -> tuple[Kernel, str]:
    """Return the kernel of a sum whose products keep all bits, shifted left."""
    accumulator = total.layer.accumulator
    exact = [[int(weight) << left for weight in row] for row in total.weights.tolist()]
    products = Products.of(total.source, np.array(exact, dtype=object).reshape(total.weights.shape))
    sums = Signal(*products.partial_sums(total.bias), accumulator.fraction)
    fits = sums.fits(accumulator)
    if accumulator.overflow is not Overflow.WRAP and not fits:
        return _limited(total, -left, products.reach)
    spare = trailing_zeros(total.bias, left)
    if not fits and accumulator.width <= spare:
        spare = 0  # every sum wraps to zero, and there are no bits to leave out
    linear = replace(total, weights=total.weights << (left - spare), bias=total.bias >> spare)
    if fits:
        signal = Signal(sums.low >> spare, sums.high >> spare, accumulator.fraction - spare)
        finish, bits = _finish(total, signal), signal.reach.bit_length() + 1
    else:
        narrow = Format(accumulator.signed, accumulator.width - spare, accumulator.integer)
        finish, bits = _finish(total, Signal.of(narrow), wrap=narrow), narrow.width + (not narrow.signed)
    if bits <= 32:
        return _modular(linear), finish
    return _plain(linear, "double" if reach_of(products, total.bias) >> spare < _DOUBLE else "int64_t"), finish


def _modular(total: Sum) -> Kernel:
    """Return the kernel of a linear sum of which 32 bits count, in the narrowest products that hold its factors."""
    low, high = total.span
    if total.unit.target.bytewise and _within(total.weights, 8) and high - low < 1 << 8:
        return _packed(total, step="Quads", parts=4, offset=low)
    if not _within(total.weights, 16) or max(-low, high) >= 1 << 30:
        return _plain(total, "int32_t")
    if high - low >= 1 << 16:
        return _packed(total, step="Pairs", parts=2, digits=True)
    narrow = low >= -(1 << 15) and high < 1 << 15
    return _packed(total, step="Pairs", parts=2, offset=0 if narrow else low + (1 << 15))


def _packed(total: Sum, *, step: str, parts: int, offset: int = 0, digits: bool = False) -> Kernel:
    """Return a kernel that reads `parts` inputs, each less `offset`, in one lane; `digits`: as high and low bits."""
    positions, n_in = total.reads.shape
    groups = -(-n_in // parts)
    spare = groups * parts - n_in
    reads = np.pad(total.reads, ((0, 0), (0, spare)), constant_values=-1).reshape(-1, parts)
    rows, first, where = np.unique(reads, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # rows lie in the order in which they are read first
    rows, where = rows[order], np.argsort(order)[where.reshape(positions, groups)]
    weights = _lanes(np.pad(total.weights, ((0, spare), (0, 0))), parts)
    bias = total.bias.astype(object) + offset * total.weights.astype(object).sum(axis=0)
    unit, count = total.unit, len(rows)
    packed = unit.workspace("int32_t", 2 * count if digits else count)
    listed = unit.places(rows, unit.tensors[total.layer.sources[0]][2])
    halves = [(_DIGIT, "false"), (_DIGIT, "true")] if digits else [(0, "false")]
    for number, (drop, low_bits) in enumerate(halves):
        call = f"pack<{count}, {parts}, {offset}, {drop}, {low_bits}>"
        unit.say(f"{call}({unit.place(total.layer.sources[0])}, {listed}, {packed} + {number * count});")
    kernel = Kernel(step, packed, where, weights, bias, "int32_t", held=2 * count if digits else count)
    if not digits:
        return kernel
    twice = np.concatenate([where, where + count], axis=1), np.concatenate([weights, weights])
    return replace(kernel, reads=twice[0], weights=twice[1], head=groups, shift=_DIGIT)


def _plain(total: Sum, kind: str) -> Kernel:
    """Return a kernel of whole products in one C++ type; in int32_t, modulo 2^32."""
    return Kernel(
        f"Whole<{kind}>", _rows(total, kind), _places(total), total.weights, total.bias, kind, held=_held(total)
    )


def _cut(total: Sum, drop: int) -> tuple[Kernel, str]:
    """Return the kernel of a sum whose products lose `drop` bits each."""
    accumulator, mode = total.layer.accumulator, total.layer.accumulator.rounding
    products = Products.of(total.source, total.weights)
    cut = [rounded(ends.astype(np.int64), drop, mode).astype(object) for ends in (products.low, products.high)]
    sums = Signal(*Products(*cut).partial_sums(total.bias), accumulator.fraction)
    fits = sums.fits(accumulator)
    if accumulator.overflow is not Overflow.WRAP and not fits:
        return _limited(total, drop, products.reach)
    if fits:
        finish, bits = _finish(total, sums), sums.reach.bit_length() + 1
    else:
        wrap = Signal.of(accumulator)
        finish, bits = _finish(total, wrap, wrap=accumulator), accumulator.width + (not accumulator.signed)
    low, high = total.span
    narrow = low >= -(1 << 15) and high < 1 << 15
    if mode is Rounding.TRN and bits <= 16 and drop <= 16 and (narrow or (low >= 0 and high < 1 << 16 and drop < 16)):
        return _high(total, drop, offset=0 if narrow else 1 << 15), finish
    kind = "int32_t" if bits <= 32 and drop < 31 and products.reach < 1 << 31 else "int64_t"
    step = f"Cut<{kind}, {drop}, {mode.value}>"
    return Kernel(step, _rows(total, kind), _places(total), total.weights, total.bias, kind, held=_held(total)), finish


def _high(total: Sum, drop: int, *, offset: int) -> Kernel:
    """Return a kernel of the high halves of 16-bit products; what the weights' upper bits add comes as whole terms."""
    half = 1 << (drop - 1)
    lower = ((total.weights + half) & ((1 << drop) - 1)) - half
    upper = (total.weights - lower) >> drop
    # offset·w is a multiple of 2^drop: what is taken from every x comes back as a constant.
    bias = total.bias + ((offset * total.weights) >> drop).sum(axis=0)
    rows, terms = _rows(total, "int16_t", offset=offset), ""
    outputs, inputs = np.nonzero(upper.T)
    if len(inputs):
        unit = total.unit
        start = unit.array("uint32_t", np.searchsorted(outputs, np.arange(total.weights.shape[1] + 1)))
        factors = unit.array("int16_t", _modulo(upper.T[outputs, inputs], "int16_t"))
        terms = f", Sparse{{{start}, {unit.array('uint32_t', inputs)}, {factors}, 0}}"
    shifted = lower << (16 - drop)
    return Kernel("High", rows, _places(total), shifted, bias, "int16_t", held=_held(total), terms=terms)


def _limited(total: Sum, drop: int, reach: int) -> tuple[Kernel, str]:
    """Return the kernel of a sum that is limited at every step, in csim's order; a negative `drop` shifts left."""
    accumulator, order = total.layer.accumulator, total.layer.order
    signal = Signal.of(accumulator)
    kind = working(reach, 2 * signal.reach) if abs(drop) < 31 else "int64_t"
    ordered = replace(total, weights=total.weights[order], reads=total.reads[:, order])
    shape = f"{accumulator.overflow.value}, {accumulator.width}, {flag(accumulator.signed)}"
    step = f"Limited<{kind}, {drop}, {accumulator.rounding.value}, {shape}>"
    kernel = Kernel(
        step, _rows(ordered, kind), _places(ordered), ordered.weights, ordered.bias, kind, held=_held(ordered)
    )
    return kernel, _finish(total, signal)


def _say(kernel: Kernel, total: Sum) -> None:
    """Write the call."""
    unit, (positions, inputs) = total.unit, kernel.reads.shape
    natural = positions == 1 and bool((kernel.reads[0] == np.arange(inputs)).all())
    reads = "nullptr" if natural else unit.places(kernel.reads, kernel.held)
    blocks = range(0, kernel.weights.shape[1], unit.target.together)
    blocked = [kernel.weights[:, first : first + unit.target.together].reshape(-1) for first in blocks]
    weights = unit.array(kernel.kind, _modulo(np.concatenate(blocked), kernel.kind))
    bias = unit.array(kernel.kind, _modulo(kernel.bias, kernel.kind))
    shape = f"{positions}, {inputs}, {kernel.head}, {kernel.shift}, {kernel.weights.shape[1]}"
    output = unit.place(total.layer.output.name)
    call = f"dense<{kernel.step}, {shape}>"
    unit.say(f"{call}({kernel.rows}, {reads}, {weights}, {bias}, {output}, {total.finish}{kernel.terms});")


def _rows(total: Sum, kind: str, *, offset: int = 0) -> str:
    """Return the C++ expression of the source as rows of `kind`, less `offset`, with a zero behind if one is read."""
    unit, name = total.unit, total.layer.sources[0]
    _, stored, size = unit.tensors[name]
    if stored == kind and not offset and not (total.reads < 0).any():
        return unit.place(name)
    rows = unit.workspace(kind, size + 1)
    unit.say(f"convert<{size}, {offset}>({unit.place(name)}, {rows});")
    return rows


def _places(total: Sum) -> Raw:
    """Return (positions, inputs): the row of each input; the zero lies behind the source."""
    return np.where(total.reads < 0, _held(total) - 1, total.reads)


def _held(total: Sum) -> int:
    """Return how many rows lie in the source, a zero behind them included."""
    return int(total.unit.tensors[total.layer.sources[0]][2] + 1)


def _lanes(weights: Raw, parts: int) -> Raw:
    """Return (groups, outputs): `parts` weights in the bits of one int32, the first in the lowest."""
    bits = 32 // parts
    groups = weights.reshape(-1, parts, weights.shape[1]) & ((1 << bits) - 1)
    shift = bits * np.arange(parts)[:, None]
    lanes: Raw = (groups << shift).sum(axis=1)
    return lanes


def _modulo(values: Raw, kind: str) -> Raw:
    """Return the numbers that a C++ integer type makes of `values`; a double holds all that it is given."""
    bits = {"int16_t": 16, "int32_t": 32}.get(kind, 64)
    half = 1 << (bits - 1)
    return np.asarray(((values.astype(object) + half) % (1 << bits)) - half).astype(np.int64)


def _finish(total: Sum, signal: Signal, *, wrap: Format | None = None) -> str:
    """Return the function from a sum to the output; `wrap` says how a sum that was kept modulo its type is read."""
    casting = Casting.of(signal, total.layer.output.format, total.layer.name)
    # Read in a type that holds the sum, and the numbers that the cast works with.
    kind = wider("int64_t" if signal.reach >= 1 << 31 else "int32_t", casting.kind)
    inside = f"{kind}(sum)" if wrap is None else f"{limit(wrap)}({kind}(sum))"
    return total.unit.function("auto sum", f"{casting.call}({inside})")


def _within(values: Raw, bits: int) -> bool:
    half = 1 << (bits - 1)
    return bool(((values >= -half) & (values < half)).all())
