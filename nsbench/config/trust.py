"""What a user agreed to run as code."""

from dataclasses import dataclass

from nsbench.errors import UserError, shortened


@dataclass(frozen=True)
class Trust:
    """What may run as code while models are opened; never read from a file, since files come from strangers.

    Attributes:
        named: the user named the models, on the command line or in a program; a file did otherwise.
        code: the user said `--trust-code`.
    """

    named: bool = False
    code: bool = False

    def check_python(self, source: str) -> None:
        """Raise UserError unless Python code that a source names may run."""
        if not (self.named or self.code):
            raise UserError(
                f"{shortened(source)} is Python code that a file names, not you, and nothing of it was read: add "
                "--trust-code where you trust its origin, or name ONNX or an architecture of timm or torchvision."
            )

    def check_program(self, source: str) -> None:
        """Raise UserError unless exported programs may be opened, which runs code that they hold."""
        if not self.code:
            raise UserError(
                f"{shortened(source)} can hold code, as every .pt2 can, and nothing of it was read: add --trust-code "
                "where you trust its origin, or export it to ONNX, or name its Python code and weights as safetensors."
            )


NOTHING = Trust()
"""No code at all."""
