"""The data set manifests: what a data set is, and the checksums that prove it.

A manifest is one TOML file in `data_manifests`. The folder ships inside the wheel, as
`nsbench/data_manifests`; in a checkout it is beside the package.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from nsbench.data.images import Dataset, ImageSet, content_checksum
from nsbench.data.library.entries import Count, DataFile, DataSource, FileSet, Md5, Sha256
from nsbench.errors import UserError, shortened

_PACKAGE = Path(__file__).resolve().parents[2]

Channels = Annotated[
    tuple[
        Annotated[float, Field(gt=0, lt=1)],
        Annotated[float, Field(gt=0, lt=1)],
        Annotated[float, Field(gt=0, lt=1)],
    ],
    Field(strict=False),  # TOML has lists, no tuples; the numbers inside stay strict
]


class ManifestFile(DataFile):
    """One file of a training set that nsbench reads."""

    bytes: Count
    md5: Md5
    content: Sha256 | None = Field(default=None, description="checksum of a training batch's images and labels")


class Manifest(DataSource):
    """A training set that nsbench reads, with all that is known of it before its files are opened."""

    kind: Literal["embedded", "archive"] = Field(
        description="comes with a Python package, or is downloaded and unpacked"
    )
    files: Annotated[tuple[ManifestFile, ...], Field(strict=False)] = Field(
        default=(), description="none when embedded"
    )
    image_shape: Annotated[tuple[Count, Count, Literal[3]], Field(strict=False)] = Field(
        description="height, width, channels"
    )
    train_count: Count = Field(description="training images")
    test_count: Count = Field(description="test images")
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=2)] = Field(
        description="in the order of the labels"
    )
    mean: Channels = Field(description="mean of each channel over the training images, pixels in [0, 1]")
    std: Channels = Field(description="standard deviation of each channel, pixels in [0, 1]")
    checksum: Sha256 | None = Field(
        default=None, description="images.content_checksum of the training and test images; unset where not known"
    )

    def dataset(self, train: ImageSet, test: ImageSet, remedy: str) -> Dataset:
        """The data set of these images; UserError, ending in `remedy`, if they are not the manifest's."""
        found = content_checksum(train, test)
        if self.checksum is not None and found != self.checksum:
            raise UserError(
                f"The images read as {self.title} are not the known ones "
                f"(expected SHA-256 {self.checksum}, found {found}): {remedy}."
            )
        return Dataset(
            name=self.name,
            title=self.title,
            licence=self.licence,
            citation=self.citation,
            classes=self.classes,
            mean=self.mean,
            std=self.std,
            train=train,
            test=test,
            checksum=found,
        )


_ANY: TypeAdapter[Manifest | FileSet] = TypeAdapter(Annotated[Manifest | FileSet, Field(discriminator="kind")])


def list_manifests() -> list[str]:
    """Names of the known data sets, sorted."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load_manifest(name: str) -> Manifest:
    """The manifest of the training set `name`; UserError when there is none of that name."""
    found = load_source(name)
    if isinstance(found, Manifest):
        return found
    known = [other for other in list_manifests() if isinstance(load_source(other), Manifest)]
    raise UserError(f"{found.title} is not a set to train on: choose one of {', '.join(known)}.")


def load_source(name: str) -> Manifest | FileSet:
    """The manifest of the data set `name`, whatever its kind; UserError when there is none of that name."""
    known = list_manifests()
    if name not in known:
        near = difflib.get_close_matches(shortened(name), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of them."
        raise UserError(f"There is no data set {shortened(name)!r} among {', '.join(known)}: {hint}")
    return read_manifest(_folder() / f"{name}.toml")


def read_manifest(path: Path) -> Manifest | FileSet:
    """The manifest in a TOML file; pydantic's ValidationError when it is not one."""
    return _ANY.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))


def _folder() -> Path:
    installed = _PACKAGE / "data_manifests"
    return installed if installed.is_dir() else _PACKAGE.parent / "data_manifests"
