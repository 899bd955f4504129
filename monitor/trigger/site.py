"""An experiment's words and clock, translated once, at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Site:
    """What differs between experiments; nothing else in the code knows one.

    Attributes
    ----------
    name
        The experiment, as people call it.
    lumisection_word
        What a person there calls the unit of time ("lumisection", "luminosity block").
    lumisection_seconds
        Its length in seconds. For sites whose blocks vary: the typical length, used for displays and lateness only.
    crossings
        Bunch crossings in an orbit; `bx` is in [0, crossings).
    orbits_per_second
        Revolution frequency of the machine in Hz.
    accept_word
        What a kept event is called ("Level-1 accept").
    """

    name: str
    lumisection_word: str
    lumisection_short: str
    lumisection_seconds: float
    crossings: int
    orbits_per_second: float
    accept_word: str


CMS = Site(
    name="CMS",
    lumisection_word="lumisection",
    lumisection_short="LS",
    lumisection_seconds=2**18 / 11_245.8,
    crossings=3564,
    orbits_per_second=11_245.8,
    accept_word="Level-1 accept",
)
ATLAS = Site(
    name="ATLAS",
    lumisection_word="luminosity block",
    lumisection_short="LB",
    lumisection_seconds=60.0,
    crossings=3564,
    orbits_per_second=11_245.8,
    accept_word="Level-1 accept",
)
PROFILES = {"cms": CMS, "atlas": ATLAS}
DEFAULT_PROFILE: Final = "cms"  # where nobody says otherwise; the simulated detector runs on its clock
DEFAULT = PROFILES[DEFAULT_PROFILE]
