"""`python -m dpedkit` and `torchrun -m dpedkit` run the command line."""

from dpedkit.cli import main

if __name__ == "__main__":
    main()
