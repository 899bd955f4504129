"""Translations of recurrent layers: LSTM, GRU and both directions of them, unrolled in time (nnet_recurrent.h).

Every statement of a time step becomes one layer of a kind that is there already: products of the inputs for all steps
at once, products of the state, sums, activations, and products element by element at full width before the cast that
the C++ does. Whether hls4ml keeps the state in static variables makes no difference: it is reset at the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph import Concatenate, Layer, Merge, Rectifier, Scale, Select, Table, Tensor
from emulator.importers import tables
from emulator.importers.cpp import Struct
from emulator.importers.site import Site, Weights
from emulator.importers.sums import Kernel, dense_of, stored_matrix

_WHOLE = Format(signed=True, width=2, integer=2)
_ARGUMENTS = 4  # weights, recurrent weights, bias, recurrent bias


@dataclass(frozen=True, slots=True)
class _Cell:
    """One direction of a layer: which gates it has, its configuration and its weights by C++ name."""

    kind: str
    prefix: str
    struct: Struct
    weights: tuple[str, ...]

    @property
    def gates(self) -> int:
        """Blocks of the weights: input, forget, cell, output; or update, reset, new."""
        return 4 if self.kind == "lstm" else 3


def lstm(site: Site) -> tuple[Layer, ...]:
    """nnet::lstm_stack."""
    return _single(site, "lstm")


def gru(site: Site) -> tuple[Layer, ...]:
    """nnet::gru_stack."""
    return _single(site, "gru")


def bidirectional(site: Site) -> tuple[Layer, ...]:
    """nnet::bidirectional_stack: the second direction reads, and writes, from the last step to the first."""
    names = site.call.arguments[2:]
    if len(names) != 2 * _ARGUMENTS:
        raise site.refuse(f"{len(site.call.arguments)} arguments of both directions")
    cells = [
        _Cell(
            kind=site.config.aliases[f"RNNfunc_{direction}"].split("<")[0].removeprefix("nnet::").split("_")[0],
            prefix=direction,
            struct=site.structs[site.config.types[f"{direction.upper()}_CONFIG"]],
            weights=names[_ARGUMENTS * number : _ARGUMENTS * (number + 1)],
        )
        for number, direction in enumerate(("forward", "backward"))
    ]
    unrolled = _Unrolled(site)
    steps = range(site.config.integer("n_sequence"))
    there = unrolled.states(cells[0], steps)
    back = unrolled.states(cells[1], steps[::-1])
    if site.config.integer("n_sequence_out") > 1:
        return unrolled.finished([each for pair in zip(there, back[::-1], strict=True) for each in pair])
    return unrolled.finished([there[-1], back[-1]])


def _single(site: Site, kind: str) -> tuple[Layer, ...]:
    names = site.call.arguments[2:]
    if len(names) != _ARGUMENTS:
        raise site.refuse("an initial state that another layer gives")
    unrolled = _Unrolled(site)
    states = unrolled.states(_Cell(kind, "step", site.config, names), range(site.config.integer("n_sequence")))
    return unrolled.finished(states if site.config.integer("n_sequence_out") > 1 else states[-1:])


class _Unrolled:
    """The layers of a recurrent layer, in the order in which they run."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._layers: list[Layer] = []
        self._source = site.sources[0]

    def states(self, cell: _Cell, steps: Sequence[int]) -> list[Tensor]:
        """Return the states after each of the time steps, in the order in which they are visited."""
        units = self._units(cell)
        inputs = self._input_products(cell)
        step = self._lstm if cell.kind == "lstm" else self._gru
        state, memory, found = self._zeros(cell, "h", units), self._zeros(cell, "s", units), list[Tensor]()
        for number in steps:
            width = cell.gates * units
            mine = self._part(inputs, range(number * width, (number + 1) * width), f"{cell.prefix}{number}_x")
            state, memory = step(cell, f"{cell.prefix}{number}", mine, state, memory)
            found.append(state)
        return found

    def finished(self, states: list[Tensor]) -> tuple[Layer, ...]:
        """Return all layers; the last writes the states, end to end, as the layer's output."""
        output, size = self._site.output, sum(state.size for state in states)
        if size != output.size:
            raise self._site.refuse(f"{size} states do not make an output of shape {output.shape}")
        names = tuple(state.name for state in states)
        self._layers.append(Concatenate(self._site.name, names, output, np.arange(size, dtype=np.int64)))
        return tuple(self._layers)

    def _lstm(self, cell: _Cell, at: str, inputs: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        n, accumulator = self._units(cell), self._accumulator(cell)
        sums = self._merged("add", inputs, self._state_products(cell, at, state), accumulator, f"{at}_sum")
        gates = self._activated(cell, "_recr", self._part(sums, [*range(2 * n), *range(3 * n, 4 * n)], f"{at}_ifo"))
        new = self._activated(cell, "", self._part(sums, range(2 * n, 3 * n), f"{at}_c"))
        taken, kept, shown = (self._part(gates, range(k * n, (k + 1) * n), f"{at}_gate{k}") for k in range(3))
        memory = self._blended((new, taken), (memory, kept), at)
        seen = self._activated(cell, "", memory)
        return self._merged("multiply", shown, seen, self._site.output.format, f"{at}_h"), memory

    def _gru(self, cell: _Cell, at: str, inputs: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        n, accumulator = self._units(cell), self._accumulator(cell)
        products = self._state_products(cell, at, state)
        first = [self._part(each, range(2 * n), f"{each.name}_zr") for each in (inputs, products)]
        last = [self._part(each, range(2 * n, 3 * n), f"{each.name}_h") for each in (inputs, products)]
        gates = self._activated(cell, "_recr", self._merged("add", first[0], first[1], accumulator, f"{at}_zr"))
        halves = [self._part(gates, range(k * n, (k + 1) * n), f"{at}_gate{k}") for k in range(2)]
        update, reset = halves[::-1] if cell.struct.flag("pytorch_order") else halves
        remembered = self._merged("multiply", reset, last[1], accumulator, f"{at}_rh")
        new = self._activated(cell, "", self._merged("add", last[0], remembered, accumulator, f"{at}_new"))
        state = self._blended((new, self._complement(update, f"{at}_keep")), (state, update), at)
        return state, memory

    def _blended(self, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], at: str) -> Tensor:
        """Return the sum of two products, cast once to the output's format."""
        products = [
            self._merged("multiply", a, b, a.format.times(b.format), f"{at}_product{number}")
            for number, (a, b) in enumerate((one, other))
        ]
        return self._merged("add", products[0], products[1], self._site.output.format, f"{at}_blend")

    def _input_products(self, cell: _Cell) -> Tensor:
        """Return the inputs' products of all time steps, step after step."""
        n_in, steps = self._site.config.integer("n_in"), self._site.config.integer("n_sequence")
        gather = np.arange(steps * n_in, dtype=np.int64).reshape(steps, n_in)
        return self._products(cell, "mult_config1", (0, 2), self._source, f"{cell.prefix}_inputs", gather=gather)

    def _state_products(self, cell: _Cell, at: str, state: Tensor) -> Tensor:
        return self._products(cell, "mult_config2", (1, 3), state, f"{at}_u")

    def _products(
        self, cell: _Cell, config: str, which: tuple[int, int], source: Tensor, name: str, *, gather: Raw | None = None
    ) -> Tensor:
        struct = self._site.structs[cell.struct.types[config]]
        weights, bias = (self._site.weights[cell.weights[number]] for number in which)
        size = cell.gates * self._units(cell)
        matrix, order = stored_matrix(self._site, struct, weights, (struct.integer("n_in"), size))
        dense = dense_of(self._site, struct, Kernel(matrix, Weights(bias.raw, bias.format), order, gather))
        positions = 1 if gather is None else len(gather)
        return self._added(
            lambda output: replace(dense, name=output.name, sources=(source.name,), output=output),
            name,
            positions * size,
            self._accumulator(cell),
        )

    def _activated(self, cell: _Cell, which: str, source: Tensor) -> Tensor:
        """Return the gates' activation (`_recr`), or that of the state."""
        function = cell.struct.aliases[f"activation{which}"].split("<")[0].removeprefix("nnet::activation::")
        role = cell.kind.upper() if which else "T"
        struct = self._site.structs[cell.struct.types[f"ACT_CONFIG_{role}"]]
        make: Callable[[Tensor], Layer]
        if function == "relu":
            zero = np.zeros(1, dtype=np.int64)
            make = lambda output: Rectifier(output.name, (source.name,), output, 0, _WHOLE, zero, _WHOLE)  # noqa: E731
        elif function in ("sigmoid", "tanh"):
            fmt = self._site.format_of(struct, "table_t")
            table = tables.curve(function, struct.integer("table_size"), fmt)
            span = 8 if function == "tanh" else 16
            make = lambda output: Table(output.name, (source.name,), output, table, fmt, span)  # noqa: E731
        else:
            raise self._site.refuse(f"recurrent activation {function}")
        name = source.name.removeprefix(f"{self._site.output.name}_")
        return self._added(make, f"{name}_{function}", source.size, self._accumulator(cell))

    def _complement(self, source: Tensor, name: str) -> Tensor:
        """Return 1 - x at full width."""
        one = np.ones(1, dtype=np.int64)
        exact = Format(signed=True, width=source.format.width + 3, integer=source.format.integer + 3)
        return self._added(
            lambda output: Scale(output.name, (source.name,), output, -one, _WHOLE, one, _WHOLE),
            name,
            source.size,
            exact,
        )

    def _merged(self, operation: str, one: Tensor, other: Tensor, fmt: Format, name: str) -> Tensor:
        return self._added(
            lambda output: Merge(output.name, (one.name, other.name), output, operation), name, one.size, fmt
        )

    def _part(self, source: Tensor, elements: Sequence[int], name: str) -> Tensor:
        gather = np.asarray(elements, dtype=np.int64)
        name = name.removeprefix(f"{self._site.output.name}_")
        return self._added(
            lambda output: Select(output.name, (source.name,), output, gather), name, len(gather), source.format
        )

    def _zeros(self, cell: _Cell, name: str, size: int) -> Tensor:
        gather = np.full(size, -1, dtype=np.int64)
        return self._added(
            lambda output: Select(output.name, (self._source.name,), output, gather),
            f"{cell.prefix}_{name}0",
            size,
            self._site.output.format,
        )

    def _added(self, make: Callable[[Tensor], Layer], name: str, size: int, fmt: Format) -> Tensor:
        """Add the layer that `make` makes of its output, and return this output."""
        output = Tensor(f"{self._site.output.name}_{name}", (size,), fmt)
        self._layers.append(make(output))
        return output

    def _units(self, cell: _Cell) -> int:
        return cell.struct.integer("n_state")

    def _accumulator(self, cell: _Cell) -> Format:
        return self._site.format_of(cell.struct, "accum_t")
