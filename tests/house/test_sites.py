"""An experiment's words and clock reach everything that people read, and nothing else in the code knows one."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.detector import SCENARIOS, play
from emulator.detector.run import Block, End
from monitor.app.settings import build
from monitor.app.simulate import STREAM, produce
from monitor.trigger.site import Site
from tests.house import inprocess as house

ROOT = Path(__file__).parents[2]
MADE_UP = {
    "name": "HELIX",
    "lumisection_word": "spill slice",
    "lumisection_short": "SS",
    "lumisection_seconds": 5.0,
    "crossings": 100,
}
PROFILES: dict[str, dict[str, Any]] = {"cms": {"profile": "cms"}, "atlas": {"profile": "atlas"}, "made up": MADE_UP}
WORDS = {"cms": ("CMS", "lumisection", "LS"), "atlas": ("ATLAS", "luminosity block", "LB")}
LOST = 4


def blocks(crossings: int) -> Iterator[Block | End]:
    """Five lumisections in a machine of that many crossings; of the fourth a partition's events are lost."""
    for each in play(SCENARIOS["quiet"], seed=4, lumisections=5, events_per_lumisection=100):
        if not isinstance(each, Block):
            yield each
        elif not (each.ls == LOST and each.partition == 0):
            yield replace(each, bx=(each.bx % crossings).astype(np.uint16))


@pytest.fixture(scope="module", params=list(PROFILES))
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a site's people get to see: page, metrics, and the sentence of the verdict on incomplete data."""
    folder = tmp_path_factory.mktemp("site")
    section = PROFILES[request.param]
    site = build({"tape": {"path": "x"}, "streams": [{"name": "s", "topic": "t"}], "site": section}).site.site()
    house.write(folder, produce(blocks(site.crossings), site=site))
    with house.daemon(folder, site=section) as daemon:
        judged = {each.lumisection.ls: each.verdict for each in house.read(daemon)}
        page, metrics, status = (house.get(daemon, path) for path in ("/", "/metrics", "/api/v1/status"))
        rejected = {key: n for key, n in daemon.database.counters().items() if key[0] == "rejected"}
    words = WORDS.get(request.param, tuple(MADE_UP.values())[:3])
    return {
        "site": site,
        "words": words,
        "others": {word for each in WORDS.values() for word in each} - set(words),
        "sentence": judged[LOST].action,
        "first": judged[1].action,
        "page": page,
        "metrics": metrics,
        "status": status,
        "rejected": rejected,
    }


def test_a_verdict_s_sentence_speaks_the_words_of_the_site(seen: dict[str, Any]):
    word = seen["words"][1]
    assert seen["sentence"].endswith(f"so this {word} cannot be judged.")
    assert seen["rejected"] == {}


def test_the_page_speaks_the_words_of_the_site(seen: dict[str, Any]):
    name, word, short = seen["words"]
    assert f'<span class="site">{name}</span>' in seen["page"]
    assert f"from the end of the {word} to the verdict" in seen["page"]
    assert re.search(rf"\b{short} ?5\b", seen["page"])
    for other in seen["others"]:
        # Class names and addresses are for programs.
        text = re.sub(r"<[^>]*>", " ", seen["page"])
        assert not re.search(rf"\b{other}\b", text), other


def test_metrics_are_explained_in_the_words_of_the_site_and_named_alike_everywhere(seen: dict[str, Any]):
    name, word, _ = seen["words"]
    help_of = dict(
        line.removeprefix("# HELP ").split(" ", 1)
        for line in seen["metrics"].splitlines()
        if line.startswith("# HELP trigwatch_")
    )
    assert f"judged {word} to its verdict" in help_of["trigwatch_lumisection_delay_seconds"]
    assert help_of["trigwatch_lumisections_total"].startswith(word.capitalize())
    assert f'site="{name}"' in seen["metrics"]
    assert f'"site":"{name}"' in seen["status"].replace(" ", "")


@pytest.mark.parametrize(("profile", "last"), [("cms", 3563), ("atlas", 3563), ("made up", 99)])
def test_a_bunch_crossing_beyond_the_site_s_orbit_is_rejected(profile: str, last: int, tmp_path: Path):
    section = PROFILES[profile]
    site: Site = build({"tape": {"path": "x"}, "streams": [{"name": "s", "topic": "t"}], "site": section}).site.site()
    changed = [
        replace(each, bx=np.full_like(each.bx, last + (each.ls == 2))) if isinstance(each, Block) else each
        for each in play(SCENARIOS["quiet"], seed=4, lumisections=3, events_per_lumisection=60, partitions=2)
    ]
    house.write(tmp_path, produce(changed, site=site))
    with house.daemon(tmp_path, site=section) as daemon:
        judged = {each.lumisection.ls: each for each in house.read(daemon)}
        assert daemon.database.counters()["rejected", STREAM, "values"] == 2
        house.delivered(daemon)
    letters = house.out(tmp_path, "trigwatch.dead-letter")
    assert {dict(each.headers)["detail"].decode() for each in letters} == {
        f"bx {last + 1} is beyond the orbit of {last + 1} crossings"
    }
    assert [judged[ls].evidence.completeness.received for ls in (1, 2, 3)] == [60, 0, 60]


# Nothing but `monitor/trigger/site.py` knows an experiment

KNOWN_HERE = {
    ROOT / "monitor" / "trigger" / "site.py",
    ROOT / "monitor" / "app" / "settings.py",  # the names of the profiles are what a settings file says
}
SIMULATED = ROOT / "emulator" / "detector"
EXPERIMENT = re.compile(r"\b(CMS|ATLAS|LHCb|Level-1|luminosity block|LB)\b", re.IGNORECASE)
NUMBERS = {"3564", "11245.8", "23.31", "23.3104"}


def sources() -> list[Path]:
    found = [*ROOT.glob("monitor/**/*.py"), *ROOT.glob("emulator/**/*.py"), *ROOT.glob("monitor/**/templates/*.*")]
    return sorted(path for path in found if path not in KNOWN_HERE and SIMULATED not in path.parents)


@pytest.mark.parametrize("path", sources(), ids=lambda each: str(each.relative_to(ROOT)))
def test_no_other_file_names_an_experiment_or_its_clock(path: Path):
    text = path.read_text(encoding="utf-8")
    named = [line.strip() for line in text.splitlines() if EXPERIMENT.search(line)]
    assert named == [], f"{path} names an experiment: take the word from the Site"
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        numbers = {each.string.replace("_", "") for each in tokens if each.type == tokenize.NUMBER}
        assert not numbers & NUMBERS, f"{path} holds an experiment's clock: take the number from the Site"
