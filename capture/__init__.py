"""Cameras, clocks, triggers and the shot; the simulated rig."""
