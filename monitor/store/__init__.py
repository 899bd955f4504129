"""The database: state, offsets and outbox in one transaction."""
