"""Policies of what a patch must be to be kept: one TOML file each."""
