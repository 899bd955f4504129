"""Where Kafka is, how to get in, and which of its answers no retry can mend."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka import errors
from kafka.record.util import crc32c_c

from monitor.stream.transport import Refused

LARGEST_MESSAGE = 10 * 2**20
# No retry mends these: wrong credentials, missing rights, settings that the broker does not accept.
FINAL = (
    errors.AuthorizationError,
    errors.FencedInstanceIdError,
    errors.InconsistentGroupProtocolError,
    errors.InvalidGroupIdError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidTopicError,
    errors.KafkaConfigurationError,
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.UnsupportedVersionError,
)


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Kafka is and how to get in.

    Attributes
    ----------
    bootstrap
        `host:port` of one or more brokers.
    options
        Passed to kafka-python as they are: `security_protocol`, `ssl_*`, `sasl_*`, `client_id`, timeouts, ….
    """

    bootstrap: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **own: Any) -> dict[str, Any]:
        """Return our settings with the user's on top."""
        return {"bootstrap_servers": list(self.bootstrap), **own, **self.options}

    def is_reachable(self, timeout: float = 1.0) -> bool:
        """Try whether any broker takes a connection."""
        return any(_takes_connections(address, timeout) for address in self.bootstrap)


def require_checksums() -> None:
    """Raise `Refused` where checksums could only be computed in plain Python."""
    if crc32c_c is None:
        detail = "the package crc32c is missing, without which Kafka's checksums cost 20 times as much"
        raise Refused(f"{detail}: install kafka-python[crc32c]")


def _takes_connections(address: str, timeout: float) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return True
    except (OSError, ValueError):
        return False
