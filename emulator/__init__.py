"""Bit-exact emulation of the models that run inside a hardware trigger; knows nothing of the monitor.

>>> import emulator
>>> model = emulator.load("models/axol1tl_v5")
>>> scores = model.score(raw_inputs)
"""

from emulator.abi.elf import NotALibrary
from emulator.abi.manifest import BadManifest
from emulator.archive import BadArchive, export, unpack
from emulator.card import BrokenCard, Card, Certificate
from emulator.certify import Comparison, NotCertified, verify
from emulator.engines.compiler import NotCompiled
from emulator.formats import Format
from emulator.hls_config import BadConfiguration
from emulator.importing import import_conifer, import_hls4ml
from emulator.importing_abi import UnfitEmulator, import_abi
from emulator.layout import Axis, BadLayout, Layout, ObjectGroup
from emulator.menu import BadMenu, Menu
from emulator.model import EngineUnavailable, Model, load
from emulator.poison import Poison
from emulator.registry import Registry, UnknownModel
from emulator.validity import BadValidity, Interval, Validity
from emulator.worker import WorkerDied, WorkerHung

__all__ = [
    "Axis",
    "BadArchive",
    "BadConfiguration",
    "BadLayout",
    "BadManifest",
    "BadMenu",
    "BadValidity",
    "BrokenCard",
    "Card",
    "Certificate",
    "Comparison",
    "EngineUnavailable",
    "Format",
    "Interval",
    "Layout",
    "Menu",
    "Model",
    "NotALibrary",
    "NotCertified",
    "NotCompiled",
    "ObjectGroup",
    "Poison",
    "Registry",
    "UnfitEmulator",
    "UnknownModel",
    "Validity",
    "WorkerDied",
    "WorkerHung",
    "export",
    "import_abi",
    "import_conifer",
    "import_hls4ml",
    "load",
    "unpack",
    "verify",
]
