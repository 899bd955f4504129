"""Compiled emulators with the hls4mlEmulator interface, as the CMS Level-1 trigger uses them."""
