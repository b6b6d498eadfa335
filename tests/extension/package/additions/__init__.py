"""One addition to nsbench of each kind."""
