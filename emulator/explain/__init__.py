"""Why hardware and emulation disagree: patterns, the first layer that differs, and hypotheses run again."""

from emulator.explain.flips import Flip, with_flip
from emulator.explain.upsets import Upsets, search_upsets

__all__ = ["Flip", "Upsets", "search_upsets", "with_flip"]
