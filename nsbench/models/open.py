"""Models opened by the names that a user gives."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nsbench.checkpoints.labels import labels_of, named_folder, networks_folder, plan_around, read_plan, refuse_earlier
from nsbench.checkpoints.store import read_checkpoint
from nsbench.config.survey import ModelConfig
from nsbench.config.trust import NOTHING, Trust
from nsbench.errors import UserError, shortened
from nsbench.models.foreign import Foreign
from nsbench.models.names import Names, short_name
from nsbench.models.origins.exported import ExportedFile
from nsbench.models.origins.functions import FileFunction, ModuleFunction, hub_function
from nsbench.models.origins.libraries import Timm, Torchvision
from nsbench.models.origins.onnx import OnnxFile
from nsbench.models.origins.origin import Origin, must_be_file
from nsbench.models.preprocessing import declared, refuse_preprocessing
from nsbench.models.subject import Subject
from nsbench.models.trained import Trained
from nsbench.models.weights import open_weights

FORMS = (
    "a run folder, a checkpoint folder, package.module:function, file.py:function, timm:NAME, torchvision:NAME, "
    "torchhub:REPO:NAME, FILE.pt2 or FILE.onnx"
)

_FILES_OF_WEIGHTS = (".safetensors", ".pt", ".pth", ".th", ".ckpt", ".bin", ".tar")


def open_models(configs: Sequence[ModelConfig], classes: int | None = None, trust: Trust = NOTHING) -> list[Subject]:
    """All models to be measured, each under a name of its own.

    A run folder gives all its checkpoints. Each of the others is built once, so that what is wrong with it is known
    here. The same model under the same name is given once.

    Args:
        configs: what the user names.
        classes: classes of the data set, for the heads of timm's and torchvision's networks; None for their own number.
        trust: what may run as code.

    Raises:
        UserError: naming the source, and what to do.
    """
    names = Names([config.name for config in configs if config.name])
    subjects: list[Subject] = []
    seen: set[tuple[str, str]] = set()
    for config in configs:
        for subject in _open(config, classes, trust):
            key = (subject.name, subject.identity)
            if config.name or key not in seen:
                _name(subject, config, names)
                subjects.append(subject)
            seen.add(key)
    return subjects


def _open(config: ModelConfig, classes: int | None, trust: Trust) -> list[Subject]:
    """The models of one configuration, under their plain names."""
    path = named_folder(Path(config.source))
    if path.is_dir():
        found: list[Subject] = list(_checkpoints(path))
        refuse_preprocessing(config)
        return found
    if config.weights and path.suffix in (".pt2", ".onnx"):
        raise UserError(f"{config.source} holds its weights: leave out --weights.")
    return [Foreign(_origin(config, classes, trust), open_weights(config.weights), declared(config))]


def _name(subject: Subject, config: ModelConfig, names: Names) -> None:
    """Give a subject its final name: the user's, or one made from the source and, if need be, the weights."""
    if isinstance(subject, Trained):
        single = (named_folder(Path(config.source)) / "checkpoint.json").is_file()
        if config.name:
            subject.rename(config.name if single else f"{config.name}/{subject.name}")
        else:
            folder = short_name(Path(config.source).absolute().name)
            subject.rename(names.give(subject.name, f"{folder}/{subject.name}"))
        return
    plain, stem = short_name(subject.name), short_name(Path(config.weights).stem)
    longer = stem if stem.startswith(plain) else f"{plain}-{stem}"
    subject.rename(config.name or names.give(plain, *([longer] if config.weights else [])))


def _checkpoints(folder: Path) -> Iterator[Trained]:
    """The checkpoint in a folder, or all those of a run."""
    single = read_checkpoint(folder)
    if single is not None:
        labels = labels_of(folder, single.record, single.recipe, single.teacher)
        yield Trained(folder, labels.on(single, plan_around(folder)), folder)
        return
    if not (folder / "plan.json").is_file():
        refuse_earlier(folder)
        raise UserError(
            f"{folder} is neither a run folder (it has no plan.json) nor a checkpoint (it has no checkpoint.json): "
            "name what `nsbench train` made."
        )
    plan = read_plan(folder)
    for labels in plan:
        place = networks_folder(folder) / labels.folder
        file = read_checkpoint(place)
        if file is None:
            raise UserError(f"{place} has no checkpoint: run `nsbench train` first.")
        yield Trained(folder, labels.on(file, plan), place)


def _origin(config: ModelConfig, classes: int | None, trust: Trust) -> Origin:
    source, path = config.source, Path(config.source)
    prefix, _, rest = source.partition(":")
    if prefix in ("timm", "torchvision"):
        if not config.weights:
            raise UserError(
                f"{source} has random weights, and nothing is downloaded: name the file of trained ones with --weights."
            )
        return Timm(rest, classes) if prefix == "timm" else Torchvision(rest, classes)
    if prefix == "torchhub":
        trust.check_python(source)
        return hub_function(rest, pretrained=not config.weights)
    if path.suffix in (".pt2", ".onnx"):
        must_be_file(path, _near(path))
        if path.suffix == ".onnx":
            return OnnxFile(path)
        trust.check_program(source)
        return ExportedFile(path)
    if path.suffix in _FILES_OF_WEIGHTS:
        raise UserError(
            f"{source} is a file of weights, not a model: name its code, file.py:function, and this with --weights."
        )
    place, colon, function = source.rpartition(":")
    if not colon or not function:
        raise _unknown(source)
    trust.check_python(source)
    return FileFunction(Path(place), function) if place.endswith(".py") else ModuleFunction(place, function)


def _unknown(source: str) -> UserError:
    path = Path(source)
    if path.suffix == ".py" and path.is_file():
        return UserError(f"{source} is a file: name the function in it that returns the network, as {source}:FUNCTION.")
    return UserError(f"There is no model {shortened(source)!r}: {_near(path) or f'name {FORMS}.'}")


def _near(path: Path) -> str:
    """A hint at what is beside a path that does not exist."""
    beside: list[str] = []
    with suppress(OSError):  # a folder that is missing or may not be read
        beside = [entry.name for entry in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name[:200], beside, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else ""
