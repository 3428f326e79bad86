"""Web pages on this machine: the only place that imports Starlette."""
