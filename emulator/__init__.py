"""Bit-exact emulation of the models that run inside a hardware trigger; knows nothing of the monitor.

>>> import emulator
>>> model = emulator.load("models/axol1tl_v5")
>>> scores = model.score(raw_inputs)
"""

from emulator.card import BrokenCard, Card, Certificate
from emulator.certify import Comparison, NotCertified, import_hls4ml, verify
from emulator.engines.compiler import NotCompiled
from emulator.formats import Format
from emulator.layout import Axis, Layout, ObjectGroup
from emulator.model import EngineUnavailable, Model, load
from emulator.registry import Registry, UnknownModel
from emulator.worker import WorkerDied, WorkerHung

__all__ = [
    "Axis",
    "BrokenCard",
    "Card",
    "Certificate",
    "Comparison",
    "EngineUnavailable",
    "Format",
    "Layout",
    "Model",
    "NotCertified",
    "NotCompiled",
    "ObjectGroup",
    "Registry",
    "UnknownModel",
    "WorkerDied",
    "WorkerHung",
    "import_hls4ml",
    "load",
    "verify",
]
