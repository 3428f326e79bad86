"""The DPED trainer: networks, losses, loop, metrics, enhancement."""
