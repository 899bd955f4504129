"""What a program's bytes tell, and that what layers learn later leaves old digests as they are."""

from __future__ import annotations

import numpy as np

import emulator.detector
from emulator.card import digest_of
from emulator.card_files import read
from emulator.formats import Format
from emulator.graph import Dot, Program, Tensor
from emulator.pack import unpack
from emulator.program_bytes import from_bytes, to_bytes

EIGHT, SIXTEEN = Format(True, 8, 4), Format(True, 16, 8)
X, Y = Tensor("x", (4,), EIGHT), Tensor("y", (1,), SIXTEEN)


def layer_of(**later: object) -> tuple[dict[str, object], Dot]:
    """Return what is told of a dot product, and what is read back."""
    dot = Dot("dot", ("x", "x"), Y, SIXTEEN, **later)  # type: ignore[arg-type]
    content = to_bytes(Program(inputs=(X,), layers=(dot,), outputs=("y",)))
    (back,) = from_bytes(content).layers
    assert isinstance(back, Dot)
    return unpack(content)[0]["layers"][0], back


def test_a_field_that_came_later_is_told_only_where_it_says_something():
    told, back = layer_of()
    assert set(told) == {"kind", "name", "sources", "output", "accumulator"}
    assert (back.left, back.right, back.whole) == (None, None, False)
    told, back = layer_of(left=np.array([[0, 1]]), right=np.array([[2, 3]]), whole=True)
    assert {"left", "right", "whole"} <= set(told)
    assert back.left is not None
    assert back.left.tolist() == [[0, 1]]
    assert back.whole is True


def test_the_committed_cards_keep_their_digests():
    cards = sorted(emulator.detector.MODELS.glob("*/card.json"))
    assert cards
    for path in cards:
        contents = read(path.parent)
        assert contents.program is not None
        card = contents.card
        assert digest_of(contents.program, layout=card.layout, threshold=card.threshold) == card.digest
