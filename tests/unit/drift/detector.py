"""The simulated detector's runs as summaries, partitions added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.detector import L1_LAYOUT, Block, End
from monitor.app.simulate import batch
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary, SummaryKey
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection

STREAM = "scout"
SUMMARISER = Summariser(L1_LAYOUT, L1_LAYOUT.width, 1)


def summaries(blocks: Iterable[Block | End]) -> Iterator[Summary]:
    """Yield one summary per lumisection."""
    whole: Summary | None = None
    for block in blocks:
        if isinstance(block, Block):
            part = SUMMARISER.summarise(key_of(block), batch(block, stream=STREAM))
            whole = part if whole is None or whole.key != part.key else whole + part
        elif whole is not None:
            yield whole
            whole = None


def key_of(block: Block) -> SummaryKey:
    epoch = Epoch(block.label, block.digest or "", block.menu, block.firmware, block.prescale_column)
    return SummaryKey(STREAM, Lumisection(block.run, block.ls), epoch)
