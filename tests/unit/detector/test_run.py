import hashlib
import itertools

import numpy as np
import pytest

from emulator.detector import SCENARIOS, Block, End, play, reference_fills
from emulator.detector.scenarios import Scenario


def inputs_by_lumisection(scenario: Scenario, *, seed: int, lumisections: int, events: int = 1000) -> list[np.ndarray]:
    played = play(
        scenario, seed=seed, lumisections=lumisections, events_per_lumisection=events, partitions=1, scored=False
    )
    return [block.inputs for block in played if isinstance(block, Block)]


def fingerprint(stream) -> str:
    seen = hashlib.sha256()
    for item in stream:
        seen.update(repr(item if isinstance(item, End) else (item.ls, item.partition, item.sequence)).encode())
        if isinstance(item, Block):
            for name, column in item.columns().items():
                seen.update(name.encode() + column.tobytes())
    return seen.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    prints = [fingerprint(play(SCENARIOS["hot-tower"], seed=seed, lumisections=70)) for seed in (5, 5, 6)]
    assert prints[0] == prints[1] != prints[2]


def test_reference_fills_reproduce_and_differ_from_each_other() -> None:
    first = list(reference_fills(seed=5, fills=2, lumisections=2, events_per_lumisection=50, scored=False))
    again = list(reference_fills(seed=5, fills=2, lumisections=2, events_per_lumisection=50, scored=False))
    assert fingerprint(first) == fingerprint(again)
    blocks = [item for item in first if isinstance(item, Block)]
    assert len({block.run for block in blocks}) == 2
    assert not np.array_equal(blocks[0].inputs, blocks[4].inputs)


@pytest.mark.parametrize("name", ["dead-region", "hot-tower", "jet-scale", "ageing", "noise-burst"])
def test_a_detector_fault_changes_inputs_from_its_onset_on_and_not_before(name: str) -> None:
    scenario = SCENARIOS[name]
    clean = inputs_by_lumisection(SCENARIOS["quiet"], seed=2, lumisections=scenario.onset + 1)
    broken = inputs_by_lumisection(scenario, seed=2, lumisections=scenario.onset + 1)
    same = [np.array_equal(a, b) for a, b in zip(clean, broken, strict=True)]
    assert same == [True] * (scenario.onset - 1) + [False, False]


@pytest.mark.parametrize("name", ["weight-upset", "stale-model", "truncated-input", "unit-slip", "stream-loss"])
def test_a_firmware_or_delivery_fault_leaves_the_recorded_inputs_alone(name: str) -> None:
    scenario = SCENARIOS[name]
    lumisections = scenario.onset + 2
    clean = inputs_by_lumisection(SCENARIOS["quiet"], seed=2, lumisections=lumisections)
    played = play(scenario, seed=2, lumisections=lumisections, partitions=1, scored=False)
    for block in played:
        if isinstance(block, Block):
            assert np.array_equal(block.inputs, clean[block.ls - 1])


def test_every_end_declares_what_was_put_on_its_partition() -> None:
    put: dict[tuple[int, int], int] = {}
    ends: dict[tuple[int, int], int] = {}
    for item in play(
        SCENARIOS["quiet"], seed=1, lumisections=4, events_per_lumisection=2501, partitions=3, scored=False
    ):
        if isinstance(item, End):
            ends[item.ls, item.partition] = item.events
        else:
            assert (item.ls, item.partition) not in ends
            put[item.ls, item.partition] = put.get((item.ls, item.partition), 0) + len(item)
    assert put == ends
    assert len(ends) == 12


def test_sequences_count_up_by_one_and_events_count_up_in_the_run() -> None:
    blocks = [
        item
        for item in play(SCENARIOS["quiet"], seed=1, lumisections=3, events_per_lumisection=4500, scored=False)
        if isinstance(item, Block)
    ]
    for partition in (0, 1):
        mine = [block for block in blocks if block.partition == partition]
        assert [block.sequence for block in mine] == list(range(len(mine)))
        assert len({block.producer for block in mine}) == 1
        assert all(len(block) <= 1000 for block in mine)
    assert sorted(itertools.chain.from_iterable(block.event.tolist() for block in blocks)) == list(range(1, 13_501))


def test_events_of_a_block_are_in_order_of_time() -> None:
    for item in play(SCENARIOS["quiet"], seed=1, lumisections=2, scored=False):
        if isinstance(item, Block):
            assert (np.diff(item.orbit.astype(np.int64) * 3564 + item.bx) > 0).all()
            assert (np.diff(item.event.astype(np.int64)) > 0).all()


def test_columns_have_the_types_of_the_schema() -> None:
    block = next(iter(play(SCENARIOS["quiet"], seed=1, lumisections=1)))
    assert isinstance(block, Block)
    kinds = {name: (column.dtype.name, column.shape) for name, column in block.columns().items()}
    n = len(block)
    assert kinds == {
        "run": ("uint32", (n,)),
        "ls": ("uint32", (n,)),
        "orbit": ("uint32", (n,)),
        "event": ("uint64", (n,)),
        "bx": ("uint16", (n,)),
        "pileup": ("float32", (n,)),
        "inputs": ("int16", (n, 57)),
        "score": ("int64", (n, 1)),
        "accept": ("bool", (n,)),
    }


def test_stream_loss_leaves_gaps_but_declares_the_true_count() -> None:
    scenario = SCENARIOS["stream-loss"]
    received, declared, sequences = 0, 0, []
    for item in play(scenario, seed=1, lumisections=scenario.onset + 30, scored=False):
        if item.partition != 0:
            continue
        if isinstance(item, End):
            declared += item.events
        else:
            received += len(item)
            sequences.append(item.sequence)
    assert declared == 500 * (scenario.onset + 30)
    assert received < declared
    assert sequences[: scenario.onset - 1] == list(range(scenario.onset - 1))
    assert max(np.diff(sequences[scenario.onset - 2 :])) > 1


def test_more_partitions_than_events_are_refused() -> None:
    with pytest.raises(ValueError, match="one event for each"):
        play(SCENARIOS["quiet"], seed=1, events_per_lumisection=3, partitions=4, scored=False)


def test_a_run_of_no_lumisections_is_refused_rather_than_given_the_default_length() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        play(SCENARIOS["quiet"], seed=1, lumisections=0, scored=False)
