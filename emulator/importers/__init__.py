"""From a trained network to an integer program; the only rooms of the emulator that need hls4ml."""
