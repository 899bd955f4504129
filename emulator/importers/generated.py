"""Layers that hls4ml writes code for instead of a call of nnet_utils: HGQ2's quantisers, distributed arithmetic.

The code is read, since it is what will be compiled. Distributed arithmetic is a tree of adders: its nodes are followed
as linear forms of the inputs, and every node's type must hold every value that its form can take. Then nothing is lost
between the inputs and the result, and the tree is a Dense with an accumulator that is wide enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph import Concatenate, Dense, Layer, Quantiser, Scale, Select, Tensor
from emulator.importers.convolutions import windows_of
from emulator.importers.einsums import turned
from emulator.importers.site import Site

_MASK = re.compile(r"out\[(\d+)\] = (?:(ap_u?fixed<[^>]*>)\(inp\[\d+\]\)|0);")
_ENTRY = re.compile(r"(ap_u?fixed<[^>]*>) model_inp_q_(\d+) = (model_inp\[\d+\]|0);")
_NODE = re.compile(r"(ap_u?fixed<[^>]*>) v(\d+) = ([^;]*);")
_EXIT = re.compile(r"model_out\[(\d+)\] = ([^;]*);")
_TYPED = re.compile(r"(ap_u?fixed<[^>]*>)\((.*)\)")
_SHIFTED = re.compile(r"bit_shift<(-?\d+)>\(v(\d+)\)")
_SUM = re.compile(r"v(\d+) ([-+]) (.*)")
_LEAF = re.compile(r"(ap_u?fixed<[^>]*>) v\d+ = model_inp\[(\d+)\];")
_BUFFER = re.compile(r"buffer\[\d+\]\[(\d+)\] = +(?:0|data\[(\d+)\]);")
_FUNCTION = re.compile(r"void einsum_\d+_da_\d+_of_\d+\(inp_t")
_WIDEST = 62
_WHOLE = Format(signed=True, width=2, integer=2)
_NOTHING = Format(signed=False, width=1, integer=0)


def quantiser(site: Site) -> tuple[Layer, ...]:
    """HGQ2's quantiser of activations: a line for every element."""
    found = {int(place): spelling for place, spelling in _MASK.findall(site.code)}
    size = site.output.size
    if sorted(found) != list(range(size)):
        raise site.refuse(f"its code sets {len(found)} of {size} elements")
    formats = [Format.parse(found[i]) if found[i] else None for i in range(size)]
    return (replace(_quantiser(site, site.reads, site.output, formats), name=site.name),)


def distributed_arithmetic(site: Site) -> tuple[Layer, ...]:
    """Dense, convolution or einsum by distributed arithmetic: trees of adders, as da4ml writes them."""
    if site.call.function == "einsum_dense":
        return _einsum(site)
    return tuple(_summed(site, _windows(site)))


def _einsum(site: Site) -> tuple[Layer, ...]:
    """Return the layers of a tree for every group of inputs; biases are added behind the trees."""
    config, accumulator = site.config, site.format("accum_t")
    groups, places, n_in = (config.integer(f"n_{name}") for name in ("inplace", "free_data", "contract"))
    reads = turned(site, "tpose_inp_conf").reshape(groups, places, n_in)
    bias = site.weights[site.call.arguments[2]]
    size = bias.raw.size
    layers, names = list[Layer](), list[str]()
    for group, code in enumerate(_FUNCTION.split(site.code)[1:]):
        part = Tensor(f"{site.output.name}_part{group}", (size // groups,), accumulator)
        layers += _summed(replace(site, name=part.name, output=part, code=code), reads[group])
        names.append(part.name)
    whole, biased = (Tensor(f"{site.output.name}_{role}", (size,), accumulator) for role in ("sums", "biased"))
    ones = np.ones(size, dtype=np.int64)
    layers += [
        Concatenate(whole.name, tuple(names), whole, np.arange(size, dtype=np.int64)),
        Scale(biased.name, (whole.name,), biased, ones, _WHOLE, bias.raw.reshape(-1), bias.format),
        Select(site.name, (biased.name,), site.output, turned(site, "tpose_out_conf")),
    ]
    return tuple(layers)


def _windows(site: Site) -> Raw | None:
    """Return (positions, inputs): what a convolution's buffer holds at every position, -1 for a zero; None without.

    In streams there is no such buffer: the kernel is called where the window of any convolution would be.
    """
    found = _BUFFER.findall(site.code)
    if not found:
        return windows_of(site) if "conv" in site.call.function else None
    width = 1 + max(int(column) for column, _ in found)
    if [int(column) for column, _ in found] != list(range(width)) * (len(found) // width):
        raise site.refuse(f"its code fills {len(found)} places of windows of {width}")
    return np.array([int(place) if place else -1 for _, place in found], dtype=np.int64).reshape(-1, width)


def _summed(site: Site, gather: Raw | None) -> Iterator[Layer]:
    """Yield a tree at every position of `gather`, behind a cast of every input where the code has one."""
    source, reads = site.sources[0], site.reads
    positions, n_in = (1, source.size) if gather is None else gather.shape
    formats = _entries(site, n_in)
    held = [fmt or _NOTHING for fmt in formats] or [source.format] * n_in
    tree = _Tree(site, held, site.output.size // positions)
    tree.read()
    if not formats:
        yield _dense(site, reads, source.format, tree.outputs(), gather)
        return
    if gather is not None:
        windows = Tensor(f"{site.output.name}_windows", (gather.size,), source.format)
        yield Select(windows.name, reads, windows, gather.reshape(-1))
        gather, reads = np.arange(gather.size, dtype=np.int64).reshape(gather.shape), (windows.name,)
    inner = Tensor(f"{site.output.name}_inputs", (positions * n_in,), _united(held))
    yield _quantiser(site, reads, inner, formats * positions)
    yield _dense(site, (inner.name,), inner.format, tree.outputs(), gather)


def _entries(site: Site, n_in: int) -> list[Format | None]:
    """Return the formats into which the code casts its inputs before it adds, [] where it leaves them as they are.

    None is an input that it replaces by 0.
    """
    source = site.sources[0].format
    entries = {int(place): (spelling, value) for spelling, place, value in _ENTRY.findall(site.code)}
    if entries:
        if sorted(entries) != list(range(n_in)):
            raise site.refuse(f"its code quantises {len(entries)} of {n_in} inputs")
        return [Format.parse(spelling) if value != "0" else None for _, (spelling, value) in sorted(entries.items())]
    whole = Format(source.signed, source.width, source.integer)
    leaves = {int(place): Format.parse(spelling) for spelling, place in _LEAF.findall(site.code)}
    narrow = {place: fmt for place, fmt in leaves.items() if _united([fmt, whole]) != fmt}
    return [narrow.get(i, whole) for i in range(n_in)] if narrow else []


@dataclass(frozen=True, slots=True)
class _Form:
    """Σ factor·input + constant, physical."""

    factors: tuple[Fraction, ...]
    constant: Fraction

    def plus(self, other: _Form, sign: int) -> _Form:
        pairs = zip(self.factors, other.factors, strict=True)
        return _Form(tuple(a + sign * b for a, b in pairs), self.constant + sign * other.constant)

    def times(self, factor: Fraction | int) -> _Form:
        return _Form(tuple(a * factor for a in self.factors), self.constant * factor)


class _Tree:
    """The nodes of a tree of adders, read line by line."""

    def __init__(self, site: Site, formats: Sequence[Format], outputs: int) -> None:
        self._site = site
        self._outputs = outputs
        self._formats = formats
        self._nodes: dict[int, _Form] = {}

    def read(self) -> None:
        """Read every node, and look whether its type holds it."""
        for spelling, number, said in _NODE.findall(self._site.code):
            form = self._form(said)
            self._check(form, spelling, f"v{number}")
            self._nodes[int(number)] = form

    def outputs(self) -> list[_Form]:
        """Return the forms of the outputs in order."""
        found = {int(place): self._output(said) for place, said in _EXIT.findall(self._site.code)}
        if sorted(found) != list(range(self._outputs)):
            raise self._site.refuse(f"its code sets {len(found)} of {self._outputs} outputs")
        return [found[i] for i in range(len(found))]

    def _output(self, said: str) -> _Form:
        typed = _TYPED.fullmatch(said)
        if typed is None:
            return self._form(said)
        form = self._form(typed[2])
        self._check(form, typed[1], "an output")
        return form

    def _form(self, said: str) -> _Form:
        said = said.strip()
        if found := re.fullmatch(r"model_inp(?:_q_(\d+)|\[(\d+)\])", said):
            return self._input(int(found[1] or found[2]))
        if found := _SUM.fullmatch(said):
            return self._nodes[int(found[1])].plus(self._form(found[3]), 1 if found[2] == "+" else -1)
        if said.startswith("-"):
            return self._form(said[1:]).times(-1)
        if found := re.fullmatch(r"v(\d+)", said):
            return self._nodes[int(found[1])]
        if found := _SHIFTED.fullmatch(said):
            return self._nodes[int(found[2])].times(Fraction(2) ** int(found[1]))
        if found := re.fullmatch(r"(?:ap_u?fixed<[^>]*>\()?(\d+(?:\.\d+)?(?:e-?\d+)?)\)?", said):
            return _Form((Fraction(0),) * len(self._formats), Fraction(found[1]))
        raise self._site.refuse(f"{said!r} in its tree of adders is not a sum")

    def _input(self, place: int) -> _Form:
        return _Form(tuple(Fraction(int(i == place)) for i in range(len(self._formats))), Fraction(0))

    def _check(self, form: _Form, spelling: str, name: str) -> None:
        """Refuse a node whose type does not hold its form: there the result would depend on what was lost."""
        fmt = Format.parse(spelling)
        ends = [sorted((a * low, a * high)) for a, (low, high) in zip(form.factors, self._ranges(), strict=True)]
        low = form.constant + sum((end[0] for end in ends), Fraction(0))
        high = form.constant + sum((end[1] for end in ends), Fraction(0))
        unit = Fraction(2) ** -fmt.fraction
        steps = [
            form.constant,
            *(a * Fraction(2) ** -f.fraction for a, f in zip(form.factors, self._formats, strict=True)),
        ]
        if low < fmt.low * unit or high > fmt.high * unit or any((step / unit).denominator != 1 for step in steps):
            raise self._site.refuse(f"{name} of its tree of adders does not fit its type {spelling}")

    def _ranges(self) -> Iterator[tuple[Fraction, Fraction]]:
        for fmt in self._formats:
            # SAT_SYM's lowest bit pattern is no result of a cast, but a type can hold it.
            lowest, unit = -(1 << (fmt.width - 1)) if fmt.signed else 0, Fraction(2) ** -fmt.fraction
            yield lowest * unit, fmt.high * unit


def _dense(site: Site, reads: tuple[str, ...], source: Format, forms: Sequence[_Form], gather: Raw | None) -> Dense:
    weights, weight_format = _raw(site, [[form.factors[i] for form in forms] for i in range(len(forms[0].factors))])
    bias, bias_format = _raw(site, [[form.constant for form in forms]])
    fraction = max(source.fraction + weight_format.fraction, bias_format.fraction)
    return Dense(
        name=site.name,
        sources=reads,
        output=site.output,
        weights=weights,
        weight_format=weight_format,
        bias=bias[0],
        bias_format=bias_format,
        accumulator=Format(signed=True, width=_WIDEST, integer=_WIDEST - fraction),
        order=np.arange(len(weights), dtype=np.int64),
        gather=gather,
    )


def _raw(site: Site, rows: list[list[Fraction]]) -> tuple[Raw, Format]:
    """Return fractions as raw integers of the narrowest format that holds them all."""
    fraction = max((number.denominator.bit_length() - 1 for row in rows for number in row), default=0)
    numbers = [[number * 2**fraction for number in row] for row in rows]
    if any(number.denominator != 1 for row in numbers for number in row):
        raise site.refuse("a factor of its tree of adders is not a whole number of bits")
    raw = np.array([[int(number) for number in row] for row in numbers], dtype=np.int64)
    width = int(np.abs(raw).max()).bit_length() + 1 if raw.size else 1
    return raw, Format(signed=True, width=max(2, width), integer=max(2, width) - fraction)


def _quantiser(site: Site, reads: tuple[str, ...], output: Tensor, formats: Sequence[Format | None]) -> Quantiser:
    """Return the layer of one format an element, None for a zero."""
    modes = {(fmt.rounding, fmt.overflow) for fmt in formats if fmt is not None}
    if len(modes) > 1:
        raise site.refuse("its elements are rounded in different ways")
    rounding, overflow = modes.pop() if modes else ("TRN", "WRAP")
    rows = [(int(fmt.signed), fmt.width, fmt.integer) if fmt else (0, 0, 0) for fmt in formats]
    signed, width, integer = np.array(rows, dtype=np.int64).T
    return Quantiser(output.name, reads, output, signed, width, integer, str(rounding), str(overflow))


def _united(formats: Sequence[Format]) -> Format:
    """Return the narrowest format that holds every value of all formats."""
    signed = any(fmt.signed for fmt in formats)
    integer = max(fmt.integer + (signed and not fmt.signed) for fmt in formats)
    return Format(signed, integer + max(fmt.fraction for fmt in formats), integer)
