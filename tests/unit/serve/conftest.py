"""A real HTTP server that remembers what it is sent."""

from collections.abc import Iterator

import pytest

from tests.unit.serve.listener import Listener, listening


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as remembered:
        yield remembered
