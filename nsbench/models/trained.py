"""A checkpoint of ours, to be evaluated."""

from pathlib import Path

import torch
from torch import nn

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.store import load_network
from nsbench.config.resolve import fingerprint
from nsbench.models.subject import Subject


class Trained(Subject):
    """A checkpoint of ours.

    Args:
        run: the run folder, or what else the checkpoint belongs to.
        record: record of the checkpoint, under its labels.
        folder: folder of the checkpoint.
    """

    record: CheckpointRecord

    def __init__(self, run: Path, record: CheckpointRecord, folder: Path) -> None:
        self.run, self.folder = run, folder
        self.name, self.record = str(record), record
        self.identity = fingerprint("checkpoint", record.network, record.weights_sha256)

    def load(self, device: torch.device) -> nn.Module:
        """The network, normalisation inside."""
        return load_network(self.folder, device).requires_grad_(False)
