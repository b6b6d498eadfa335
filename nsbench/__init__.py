"""nsbench: noisy-student self-training on CIFAR-10, and how robust and well calibrated a classifier is."""

__version__ = "0.1.0"
