"""Alignment and patches: arrays in, arrays out."""
