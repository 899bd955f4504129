"""Why hardware and emulation disagree: explanations tried on the events that differ."""
