"""Bit-exact emulation of the models that run inside a hardware trigger; knows nothing of the monitor."""
