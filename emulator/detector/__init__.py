"""A simulated Level-1 trigger: fills, pile-up, detector, model and faults, as a stream of recorded events."""

from emulator.detector.hardware import MODELS
from emulator.detector.layout import L1_LAYOUT
from emulator.detector.run import Block, End, play, reference_fills
from emulator.detector.scenarios import SCENARIOS, Expected, Scenario

__all__ = ["L1_LAYOUT", "MODELS", "SCENARIOS", "Block", "End", "Expected", "Scenario", "play", "reference_fills"]
