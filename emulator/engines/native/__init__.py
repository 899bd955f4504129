"""Integer programs as generated C++, events in SIMD lanes: compiled once per card and machine."""
