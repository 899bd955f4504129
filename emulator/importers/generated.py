"""Layers that hls4ml writes code for instead of a call of nnet_utils: HGQ2's quantisers, distributed arithmetic.

The code is read, since it is what will be compiled. Distributed arithmetic is a tree of adders: its nodes are followed
as linear forms of the inputs, and every node's type must hold every value that its form can take. Then nothing is lost
between the inputs and the result, and the tree is a Dense with an accumulator that is wide enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph import Dense, Layer, Quantiser, Tensor
from emulator.importers.site import Site

_MASK = re.compile(r"out\[(\d+)\] = (?:(ap_u?fixed<[^>]*>)\(inp\[\d+\]\)|0);")
_ENTRY = re.compile(r"(ap_u?fixed<[^>]*>) model_inp_q_(\d+) = (?:model_inp\[\d+\]|0);")
_NODE = re.compile(r"(ap_u?fixed<[^>]*>) v(\d+) = ([^;]*);")
_EXIT = re.compile(r"model_out\[(\d+)\] = ([^;]*);")
_TYPED = re.compile(r"(ap_u?fixed<[^>]*>)\((.*)\)")
_SHIFTED = re.compile(r"bit_shift<(-?\d+)>\(v(\d+)\)")
_SUM = re.compile(r"v(\d+) ([-+]) (.*)")
_WIDEST = 62


def quantiser(site: Site) -> tuple[Layer, ...]:
    """HGQ2's quantiser of activations: a line for every element."""
    found = {int(place): spelling for place, spelling in _MASK.findall(site.code)}
    size = site.output.size
    if sorted(found) != list(range(size)):
        raise site.refuse(f"its code sets {len(found)} of {size} elements")
    return (_quantiser(site, site.name, site.output, [found[i] for i in range(size)]),)


def distributed_arithmetic(site: Site) -> tuple[Layer, ...]:
    """Dense by distributed arithmetic: a tree of adders, as da4ml writes it for a Dense."""
    size = site.sources[0].size
    entries = {int(place): spelling for spelling, place in _ENTRY.findall(site.code)}
    if entries and sorted(entries) != list(range(size)):
        raise site.refuse(f"its code quantises {len(entries)} of {size} inputs")
    formats = [Format.parse(entries[i]) if entries else site.sources[0].format for i in range(size)]
    tree = _Tree(site, formats)
    tree.read()
    if not entries:
        return (_dense(site, site.reads, site.sources[0].format, tree.outputs()),)
    held = _united(formats)
    inner = Tensor(f"{site.output.name}_inputs", (size,), held)
    entry = _quantiser(site, f"{site.name}_inputs", inner, [entries[i] for i in range(size)])
    return entry, _dense(site, (inner.name,), held, tree.outputs())


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

    def __init__(self, site: Site, formats: Sequence[Format]) -> None:
        self._site = site
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
        if sorted(found) != list(range(self._site.output.size)):
            raise self._site.refuse(f"its code sets {len(found)} of {self._site.output.size} outputs")
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


def _dense(site: Site, reads: tuple[str, ...], source: Format, forms: Sequence[_Form]) -> Dense:
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


def _quantiser(site: Site, name: str, output: Tensor, spellings: Sequence[str]) -> Quantiser:
    """Return the layer of one format's spelling an element, "" for a zero."""
    formats = [Format.parse(spelling) if spelling else None for spelling in spellings]
    modes = {(fmt.rounding, fmt.overflow) for fmt in formats if fmt is not None}
    if len(modes) > 1:
        raise site.refuse("its elements are rounded in different ways")
    rounding, overflow = modes.pop() if modes else ("TRN", "WRAP")
    rows = [(int(fmt.signed), fmt.width, fmt.integer) if fmt else (0, 0, 0) for fmt in formats]
    signed, width, integer = np.array(rows, dtype=np.int64).T
    return Quantiser(name, site.reads, output, signed, width, integer, str(rounding), str(overflow))


def _united(formats: Sequence[Format]) -> Format:
    """Return the narrowest format that holds every value of all formats."""
    signed = any(fmt.signed for fmt in formats)
    integer = max(fmt.integer + (signed and not fmt.signed) for fmt in formats)
    return Format(signed, integer + max(fmt.fraction for fmt in formats), integer)
