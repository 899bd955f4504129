"""Translation of layer normalisation: every statement of nnet_layernorm.h becomes a layer of a kind that is there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emulator.formats import Format, Raw, quantise
from emulator.graph import Cast, Layer, Merge, Pool, Scale, Select, Table, Tensor
from emulator.importers import tables
from emulator.importers.site import Site
from emulator.importers.sums import product_of

_WHOLE = Format(signed=True, width=2, integer=2)
_NOTHING = np.zeros(1, dtype=np.int64)


def layer_normalisation(site: Site) -> tuple[Layer, ...]:
    """nnet::layernormalize: (x - mean) / sqrt(variance) · scale + bias of every row, by a table of inverse roots."""
    product = product_of(site.config)
    if product != "mult":
        raise site.refuse(f"a mean by {product}")
    return _Rows(site).normalised()


class _Rows:
    """The layers of a normalisation, in the order in which they run; a row is what is normalised together."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._layers: list[Layer] = []
        self._accumulator = site.format("accum_t")
        self._rows = site.config.integer("seq_len")
        self._row = site.sources[0].size // self._rows

    def normalised(self) -> tuple[Layer, ...]:
        """Return all layers."""
        site, source = self._site, self._site.sources[0]
        scale, bias = (site.weights[name] for name in site.call.arguments[2:4])
        x = self._added(lambda output: Cast(output.name, (source.name,), output), "x", source.size)
        apart = self._merged("subtract", x, self._repeated(self._mean(x, "mean"), "means"), "apart")
        variance = self._mean(self._merged("multiply", apart, apart, "squares"), "variance")
        inverse = self._repeated(self._inverse_root(variance), "inverses")
        quotient = self._merged("multiply", apart, inverse, "quotient", apart.format.times(inverse.format))
        self._layers.append(
            Scale(
                name=site.name,
                sources=(quotient.name,),
                output=site.output,
                factor=scale.raw.reshape(-1),
                factor_format=scale.format,
                bias=bias.raw.reshape(-1),
                bias_format=bias.format,
            )
        )
        return tuple(self._layers)

    def _mean(self, source: Tensor, name: str) -> Tensor:
        """Return the sum of every row, times what 1/n is in the accumulator."""
        accumulator = self._accumulator
        rows = np.arange(source.size, dtype=np.int64).reshape(self._rows, self._row)
        ones = np.ones(self._rows, dtype=np.int64)
        total = self._added(
            lambda output: Pool(output.name, (source.name,), output, "average", rows, ones, accumulator),
            f"{name}_sum",
            self._rows,
        )
        part = quantise(np.array([1.0 / self._row]), accumulator)
        return self._added(
            lambda output: Scale(output.name, (total.name,), output, part, accumulator, _NOTHING, _WHOLE),
            name,
            self._rows,
        )

    def _inverse_root(self, source: Tensor) -> Tensor:
        """Return table[trunc(x · entries · 2^range)], the index kept inside."""
        config, fmt = self._site.config, self._site.format("table_t")
        entries, power = config.integer("table_size"), config.integer("table_range_power2")
        roots = tables.inverse_root(entries, config.integer("epsilon_power_of_10"), power, fmt)
        # A Table begins in its middle: what lies below 0 is the first entry, what lies above all of them the last.
        span = 1 if power else 2
        half = (entries << power) * span // 2
        table = np.concatenate([np.full(half, roots[0]), roots, np.full(half - entries, roots[-1])])
        return self._added(
            lambda output: Table(output.name, (source.name,), output, table, fmt, span), "inverse", source.size, fmt
        )

    def _repeated(self, source: Tensor, name: str) -> Tensor:
        """Return the value of a row for every element of it."""
        gather: Raw = np.repeat(np.arange(self._rows, dtype=np.int64), self._row)
        return self._added(
            lambda output: Select(output.name, (source.name,), output, gather), name, len(gather), source.format
        )

    def _merged(self, operation: str, one: Tensor, other: Tensor, name: str, fmt: Format | None = None) -> Tensor:
        return self._added(
            lambda output: Merge(output.name, (one.name, other.name), output, operation), name, one.size, fmt
        )

    def _added(self, make: Callable[[Tensor], Layer], name: str, size: int, fmt: Format | None = None) -> Tensor:
        """Add the layer that `make` makes of its output, by default in the accumulator's format; return this output."""
        output = Tensor(f"{self._site.output.name}_{name}", (size,), fmt or self._accumulator)
        self._layers.append(make(output))
        return output
