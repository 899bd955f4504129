"""Services that tests share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.brokers import Broker, missing

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Apache Kafka. Where Java or Maven is missing: a failure in CI, else a skip that says so."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"Kafka cannot be started: {reason}")
        pytest.skip(f"Kafka cannot be started: {reason}")
    each = Broker(tmp_path_factory.mktemp("kafka"))
    each.start()
    yield each
    each.stop()
