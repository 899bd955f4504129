"""Why hardware and emulation disagree: patterns, the first layer that differs, and hypotheses run again."""

from emulator.explain.crossings import crossings
from emulator.explain.divergence import Divergence, first_divergence
from emulator.explain.feeding import feedings, is_narrow
from emulator.explain.flips import Flip, with_flip
from emulator.explain.likelihood import log_likelihood
from emulator.explain.pattern import Pattern, pattern
from emulator.explain.upsets import Upsets, search_upsets

__all__ = [
    "Divergence",
    "Flip",
    "Pattern",
    "Upsets",
    "crossings",
    "feedings",
    "first_divergence",
    "is_narrow",
    "log_likelihood",
    "pattern",
    "search_upsets",
    "with_flip",
]
