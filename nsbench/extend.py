"""What a package outside nsbench needs to add to it: methods, benchmarks, data sets, attacks and metrics.

Each is made of values and registered by one call at import. A package names its modules in the entry point group
`nsbench`, and they are imported when a configuration or an option has a name that nsbench does not know itself; see
docs/extending.md. Nothing here is imported before it is asked for, so that a metric needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsbench.config.method import MethodConfig
    from nsbench.data.images import Dataset, ImageSet, content_checksum
    from nsbench.data.load import register_data_set
    from nsbench.data.rows.mapped import MappedImages
    from nsbench.data.rows.pictures import open_picture_folder
    from nsbench.errors import UserError
    from nsbench.metrics.classification import weighted_mean
    from nsbench.noise.draws import InputNoise
    from nsbench.protocols.attacks import Attack, register_attack
    from nsbench.protocols.protocol import Layout, Member, Protocol
    from nsbench.protocols.registry import register as register_protocol
    from nsbench.results.quantities import Metric
    from nsbench.results.quantities import register as register_metric
    from nsbench.study.methods.method import Lesson, Material, Method, Teacher
    from nsbench.study.methods.method import register as register_method
    from nsbench.training.objectives import Batch, Networks, Objective
    from nsbench.training.schedule import SecondStream

__all__ = [
    "Attack",
    "Batch",
    "Dataset",
    "ImageSet",
    "InputNoise",
    "Layout",
    "Lesson",
    "MappedImages",
    "Material",
    "Member",
    "Method",
    "MethodConfig",
    "Metric",
    "Networks",
    "Objective",
    "Protocol",
    "SecondStream",
    "Teacher",
    "UserError",
    "content_checksum",
    "open_picture_folder",
    "register_attack",
    "register_data_set",
    "register_method",
    "register_metric",
    "register_protocol",
    "weighted_mean",
]

_HOMES = {
    "MethodConfig": "config.method.MethodConfig",
    "Dataset": "data.images.Dataset",
    "ImageSet": "data.images.ImageSet",
    "content_checksum": "data.images.content_checksum",
    "register_data_set": "data.load.register_data_set",
    "MappedImages": "data.rows.mapped.MappedImages",
    "open_picture_folder": "data.rows.pictures.open_picture_folder",
    "UserError": "errors.UserError",
    "weighted_mean": "metrics.classification.weighted_mean",
    "InputNoise": "noise.draws.InputNoise",
    "Attack": "protocols.attacks.Attack",
    "register_attack": "protocols.attacks.register_attack",
    "Layout": "protocols.protocol.Layout",
    "Member": "protocols.protocol.Member",
    "Protocol": "protocols.protocol.Protocol",
    "register_protocol": "protocols.registry.register",
    "Metric": "results.quantities.Metric",
    "register_metric": "results.quantities.register",
    "Lesson": "study.methods.method.Lesson",
    "Material": "study.methods.method.Material",
    "Method": "study.methods.method.Method",
    "Teacher": "study.methods.method.Teacher",
    "register_method": "study.methods.method.register",
    "Batch": "training.objectives.Batch",
    "Networks": "training.objectives.Networks",
    "Objective": "training.objectives.Objective",
    "SecondStream": "training.schedule.SecondStream",
}
"""Where each name lives, and what it is called there."""


def __getattr__(name: str) -> object:
    """One of the names, from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nsbench.extend' has no attribute {name!r}")
    module, _, inner = _HOMES[name].rpartition(".")
    return getattr(import_module(f"nsbench.{module}"), inner)
