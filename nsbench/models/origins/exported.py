"""Programs that torch.export saved."""

import hashlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from nsbench.checkpoints.store import sha256
from nsbench.errors import UserError, describe
from nsbench.models.origins.imports import undisturbed
from nsbench.models.origins.origin import Built, Origin, built


class ExportedFile(Origin):
    """An exported program in a .pt2 file; to open it runs whatever code it holds.

    Args:
        path: path of the file.
    """

    kind = "exported"
    any_layout = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label, self.short, self.file_sha256 = path.name, path.stem, sha256(path)

    def build(self, device: torch.device) -> Built:
        """The program as a network on `device`; constants that it makes while it runs are there too."""
        content = self.path.read_bytes()
        try:
            with undisturbed(), _unlogged():
                program = move_to_device_pass(torch.export.load(io.BytesIO(content)), device)
                network = _without_mode_guard(program.module())
            self._check(program)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{self.path} cannot be opened by PyTorch {torch.__version__} ({describe(error)}): "
                "fetch it again if it is damaged, else export it again with this version."
            ) from error
        return built(network, hashlib.sha256(content).hexdigest(), self.label)

    def _check(self, program: ExportedProgram) -> None:
        inputs = program.graph_signature.user_inputs
        if len(inputs) != 1:
            raise UserError(f"{self.path} takes {len(inputs)} inputs: export a model that takes images alone.")
        shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name == inputs[0])
        if isinstance(shape[0], int):
            raise UserError(
                f"{self.path} takes batches of exactly {shape[0]} images: export it with a dynamic batch size, "
                'dynamic_shapes=({0: torch.export.Dim("batch")},).'
            )


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep from the terminal what torch logs of a file that it cannot open: the error that it raises says the same."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _without_mode_guard(network: nn.Module) -> nn.Module:
    """The network with `train` and `eval` of every module; torch.export puts refusals in their place.

    The program has its mode inside, so both change flags that nothing reads.
    """
    for name in ("train", "eval"):
        vars(network).pop(name, None)
    return network
