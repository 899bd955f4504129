"""A network as hls4ml writes it, wrapped as CMS wraps it: through the compiled interface it says what csim says."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import emulator
from emulator.engines.compiler import FLAGS, installed, library_of
from emulator.engines.csim import INCLUDES, CsimEngine
from emulator.engines.csim_sources import write_sources
from tests.emulators.build import manifest
from tests.unit.emulator.test_csim import graph, inputs

pytestmark = pytest.mark.csim
WRAPPER = """
#include "bridge.cpp"
#include "hls4ml_emulator.h"
#include <algorithm>

typedef {input} in_t;
typedef {output} out_t;

class Net : public hls4mlEmulator::Model {{
    in_t input_[5];
    out_t result_[3];

  public:
    void prepare_input(std::any input) override {{ std::copy_n(std::any_cast<in_t *>(input), 5, input_); }}
    void predict() override {{ net_v1::net(input_, result_); }}
    void read_result(std::any result) override {{ std::copy_n(result_, 3, std::any_cast<out_t *>(result)); }}
}};

extern "C" hls4mlEmulator::Model *create_model() {{ return new Net; }}
extern "C" void destroy_model(hls4mlEmulator::Model *model) {{ delete model; }}
"""


def test_a_network_of_hls4ml_gives_the_scores_of_csim_through_the_compiled_interface(tmp_path: Path) -> None:
    sources = write_sources(graph(tmp_path))
    raw = inputs(5000)
    with contextlib.closing(CsimEngine(sources, cache=tmp_path)) as csim:
        expected, (taken,), (given,) = csim.score(raw), csim.inputs, csim.outputs
    wrapper = WRAPPER.format(input=taken.format, output=given.format).encode()
    header = Path(emulator.abi.__file__).with_name("hls4ml_emulator.h").read_bytes()
    sources = {**sources, "emulator.cpp": wrapper, "hls4ml_emulator.h": header}
    built = library_of(sources, unit="emulator.cpp", kind="abi", tool=installed((*FLAGS, *INCLUDES)), cache=tmp_path)
    library = Path(shutil.copy(built, tmp_path / "net.so"))
    said = manifest(
        library, input={"type": str(taken.format), "length": 5}, output={"type": str(given.format), "length": 3}
    )
    card = emulator.import_abi(library, said, out=tmp_path / "cards")
    with emulator.load(card.path) as model:
        assert (model.score(raw) == expected).all()
    assert len(np.unique(expected, axis=0)) > 1000
