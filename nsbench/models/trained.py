"""A checkpoint of ours, to be evaluated."""

from pathlib import Path

import torch
from torch import nn

from nsbench.checkpoints.record import CheckpointRecord
from nsbench.checkpoints.store import folder_of, load_network
from nsbench.config.resolve import fingerprint
from nsbench.models.subject import Subject


class Trained(Subject):
    """A checkpoint of ours.

    Args:
        run: the run folder.
        record: of the checkpoint.
        folder: of the checkpoint, where it is not in its place in a run.
    """

    record: CheckpointRecord

    def __init__(self, run: Path, record: CheckpointRecord, folder: Path | None = None) -> None:
        self.run, self.folder = run, folder or folder_of(run, record)
        self.name, self.record = str(record), record
        self.identity = fingerprint("checkpoint", record.network, record.weights_sha256)

    def load(self, device: torch.device) -> nn.Module:
        """The network, normalisation inside."""
        return load_network(self.folder, device).requires_grad_(False)
