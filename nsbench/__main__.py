"""`python -m nsbench`."""

from nsbench.cli import main

if __name__ == "__main__":
    main()
