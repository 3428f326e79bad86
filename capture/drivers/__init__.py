"""One file per kind of device."""
