"""Translation of dense layers."""

from __future__ import annotations

from emulator.graph import Layer
from emulator.importers import bits
from emulator.importers.site import Site
from emulator.importers.sums import Kernel, stored_matrix


def dense(site: Site) -> tuple[Layer, ...]:
    """nnet::dense."""
    config = site.config
    weights, bias = (site.weights[name] for name in site.call.arguments[2:4])
    matrix, order = stored_matrix(site, config, weights, (config.integer("n_in"), config.integer("n_out")))
    return bits.summed(site, config, Kernel(matrix, bias, order))
