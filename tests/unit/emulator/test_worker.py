import gc
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from emulator.worker import EVENTS_PER_CALL, Worker, WorkerDied, WorkerHung

pytestmark = pytest.mark.csim

# Doubles its two inputs; a first input of -1 ends the process, -2 crashes it, -3 never returns, -4 floods stderr.
SOURCE = r"""
#include <cstdint>
#include <cstdio>
#include <cstdlib>
extern "C" {
const char *trigwatch_describe() { return "two in, two out"; }
void trigwatch_score(int64_t events, const int64_t *in, int64_t *out) {
    for (int64_t i = 0; i < 2 * events; i++) {
        if (in[i] == -1) { fprintf(stderr, "ERROR: file w2.txt does not exist\n"); exit(1); }
        if (in[i] == -2) { *(volatile int *)nullptr = 0; }
        if (in[i] == -3) { for (volatile int k = 0;; k = k + 1) {} }
        if (in[i] == -4) { for (int k = 0; k < 100000; k++) fprintf(stderr, "noise\n"); }
        out[i] = 2 * in[i];
    }
}
void trigwatch_trace(int64_t events, const int64_t *in, int64_t *out) {
    for (int64_t i = 0; i < 2 * events; i++) out[i] = 3 * in[i];
}
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("library")
    (directory / "twice.cpp").write_text(SOURCE)
    subprocess.run(["g++", "-shared", "-fPIC", "twice.cpp", "-o", "twice.so"], cwd=directory, check=True)
    return directory / "twice.so"


def rows(*firsts: int) -> np.ndarray:
    return np.array([[first, 7] for first in firsts], np.int64)


def test_a_worker_answers_in_bulk_over_many_calls(library: Path) -> None:
    raw = np.arange(2 * (2 * EVENTS_PER_CALL + 3)).reshape(-1, 2)
    with Worker(library) as worker:
        assert (worker.run(raw, width=2) == 2 * raw).all()
        assert (worker.run(raw, width=2, operation="trace") == 3 * raw).all()
        assert worker.description == "two in, two out"
        assert (worker.starts, worker.restarts) == (1, 0)


def test_no_event_is_no_call(library: Path) -> None:
    with Worker(library) as worker:
        assert worker.run(np.zeros((0, 2), np.int64), width=2).shape == (0, 2)


def test_the_largest_integers_survive_the_way_there_and_back(library: Path) -> None:
    raw = np.array([[2**62 - 1, -(2**62)]])
    with Worker(library) as worker:
        assert worker.run(raw, width=2).tolist() == [[2**63 - 2, -(2**63)]]


@pytest.mark.parametrize(
    ("first", "said"), [(-1, "status 1 and said: ERROR: file w2.txt"), (-2, "killed by signal 11")]
)
def test_exit_and_crash_are_errors_and_the_next_call_starts_another_worker(
    library: Path, first: int, said: str
) -> None:
    with Worker(library) as worker:
        with pytest.raises(WorkerDied, match=said):
            worker.run(rows(5, first), width=2)
        assert worker.run(rows(5), width=2).tolist() == [[10, 14]]
        assert worker.restarts == 1


def test_a_hang_ends_at_the_deadline_and_the_next_call_starts_another_worker(library: Path) -> None:
    with Worker(library, deadline=0.3) as worker:
        with pytest.raises(WorkerHung, match=r"no answer within 0\.3 s"):
            worker.run(rows(-3), width=2)
        assert worker.run(rows(5), width=2).tolist() == [[10, 14]]
        assert worker.restarts == 1


def test_a_worker_killed_from_outside_between_calls_is_replaced(library: Path) -> None:
    with Worker(library) as worker:
        worker.run(rows(1), width=2)
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
        assert worker.run(rows(1), width=2).tolist() == [[2, 14]]
        assert worker.restarts == 1


def test_chatter_of_the_library_neither_blocks_nor_grows_without_end(library: Path) -> None:
    with Worker(library) as worker:
        assert worker.run(rows(-4), width=2).tolist() == [[-8, 14]]
        assert worker._complaints is not None
        assert os.fstat(worker._complaints.fileno()).st_size < 100_000


def test_what_is_not_a_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("not a library")
    with Worker(tmp_path / "text.so") as worker, pytest.raises(WorkerDied, match=r"text\.so.*cannot be loaded"):
        worker.run(rows(1), width=2)


def test_a_library_without_our_interface_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.cpp").touch()
    subprocess.run(["g++", "-shared", "-fPIC", "empty.cpp", "-o", "empty.so"], cwd=tmp_path, check=True)
    with Worker(tmp_path / "empty.so") as worker, pytest.raises(WorkerDied, match="trigwatch_describe"):
        worker.run(rows(1), width=2)


def test_threads_take_turns(library: Path) -> None:
    answers: dict[int, np.ndarray] = {}
    with Worker(library) as worker:
        threads = [
            threading.Thread(target=lambda i=i: answers.update({i: worker.run(rows(*[i] * 500), width=2)}))
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all((answers[i] == [2 * i, 14]).all() for i in range(8))


def test_closing_twice_is_fine_and_leaves_no_process(library: Path) -> None:
    worker = Worker(library)
    worker.run(rows(1), width=2)
    process = worker._process
    worker.close()
    worker.close()
    assert process is not None
    assert process.returncode is not None


def test_a_worker_ends_with_its_parent_s_end_of_the_pipe(library: Path) -> None:
    worker = Worker(library)
    worker.run(rows(1), width=2)
    process = worker._process
    assert process is not None
    os.close(worker._commands)
    worker._commands = -1
    assert process.wait(timeout=10) == 0
    worker.close()


def test_a_forgotten_worker_leaves_no_process(library: Path) -> None:
    worker = Worker(library)
    worker.run(rows(1), width=2)
    process = worker._process
    assert process is not None
    del worker
    gc.collect()
    assert process.wait(timeout=10) is not None
