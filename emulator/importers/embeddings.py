"""Translation of embeddings: one table for every column, looked up by the same index."""

from __future__ import annotations

import numpy as np

from emulator.graph import Concatenate, Layer, Table, Tensor
from emulator.importers.site import Site


def embedding(site: Site) -> tuple[Layer, ...]:
    """nnet::embedding: row x of the table for every element x."""
    words, columns = (site.config.integer(name) for name in ("vocab_size", "n_out"))
    source, stored = site.sources[0], site.weights[site.call.arguments[2]]
    _check_index(site, words)
    tables = stored.raw.reshape(words, columns).T
    # A Table begins in its middle, so that below 0 there is another half, which no index reaches.
    layers = [
        Table(
            name=f"{site.output.name}_column{number}",
            sources=site.reads,
            output=Tensor(f"{site.output.name}_column{number}", (source.size,), site.output.format),
            table=np.concatenate([np.zeros(words, np.int64), column]),
            table_format=stored.format,
            span=2 * words,
        )
        for number, column in enumerate(tables)
    ]
    gather = np.arange(site.output.size, dtype=np.int64).reshape(columns, source.size).T.reshape(-1)
    return *layers, Concatenate(site.name, tuple(layer.name for layer in layers), site.output, gather)


def _check_index(site: Site, words: int) -> None:
    """Refuse an index for which csim reads elsewhere: beyond its table, or across two rows."""
    index = site.sources[0].format
    if index.fraction > 0:
        raise site.refuse(f"an index with fraction bits, {index}: give the input an ap_uint")
    most = index.high << -index.fraction
    if index.signed or most >= words:
        raise site.refuse(
            f"{index} reaches beyond a vocabulary of {words}: give the input an ap_uint, and the vocabulary "
            f"{most + 1} rows"
        )
