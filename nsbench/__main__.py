"""`python -m nsbench`."""

from nsbench.cli.app import main

if __name__ == "__main__":
    main()
