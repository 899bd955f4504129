"""Services that tests share."""

import os
from collections.abc import Iterator

import pytest

from tests.brokers import Broker, missing


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python 3.0 reads its own schemas with functions that Python 3.11 and 3.12 call deprecated (3.13 does not).
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


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
