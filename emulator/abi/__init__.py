"""Compiled emulators with the hls4mlEmulator interface."""
