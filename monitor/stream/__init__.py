"""Bytes in and out: the codec and the transports (memory, tape, Kafka)."""
