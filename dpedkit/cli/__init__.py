"""The command line: parse, call one stage, print."""


def main() -> None:
    """Run `dpedkit`."""
