"""The walk, pure: `Worker.step`, `Aggregator.step`, and the calendar of lumisections."""
