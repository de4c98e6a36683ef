"""``python -m duelbench``: the command line."""

from duelbench.cli.main import main

if __name__ == "__main__":
    main()
