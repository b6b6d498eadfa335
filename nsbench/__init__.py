"""nsbench: noisy-student self-training on CIFAR-10, and how robust and well calibrated a classifier is."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`evaluate`, `compare` and `load` of `nsbench.api`, imported when first asked for."""
    if name in ("evaluate", "compare", "load"):
        from importlib import import_module  # noqa: PLC0415  # the version alone must cost nothing

        return getattr(import_module("nsbench.api"), name)
    raise AttributeError(f"module 'nsbench' has no attribute {name!r}")
