"""Where a data set comes from: its downloads, and the files and folders that they hold.

Figures are published ones, or follow from the format of a file. What was never published is left out
here and recorded on first use (`nsbench.data.library.recorded`).
"""

import math
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

_LARGEST_NPY_HEADER = 4096  # numpy's own are 80 or 128 bytes for such arrays, depending on its version
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")

Count = Annotated[int, Field(gt=0)]
Md5 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Shape = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]  # TOML has lists, no tuples
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
InnerPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*$")]
Url = Annotated[str, Field(pattern="^https?://")]


class Strict(BaseModel):
    """A frozen model that takes no unknown keys and converts nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataFile(Strict):
    """One file of a data set."""

    name: InnerPath = Field(description="path inside the set's folder")
    bytes: Count | None = Field(default=None, description="unset where not published: a .npy then has its array's size")
    md5: Md5 | None = Field(default=None, description="as published")
    sha256: Sha256 | None = Field(default=None, description="as published")
    shape: Shape | None = Field(default=None, description="shape of the array in a .npy file or a file of bare numbers")
    dtype: Literal["uint8", "int32", "int64"] | None = Field(default=None, description="type of that array")

    @model_validator(mode="after")
    def _size_is_known(self) -> Self:
        if (self.shape is None) != (self.dtype is None):
            raise ValueError(f"{self.name}: shape and dtype go together")
        if self.is_npy and self.shape is None:
            raise ValueError(f"{self.name}: shape is missing")
        if self.bytes is None and not self.is_npy:
            raise ValueError(f"{self.name}: bytes is missing")
        if self.bytes is not None and not self._holds_the_array(self.bytes):
            raise ValueError(f"{self.name}: bytes is not the size of the array")
        return self

    @property
    def is_npy(self) -> bool:
        """Whether the file is in numpy's format: a header and an array."""
        return self.name.endswith(".npy")

    @property
    def array_bytes(self) -> int:
        """Size of the array alone; 0 where the file is not an array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize if self.shape and self.dtype else 0

    @property
    def most_bytes(self) -> int:
        """The size of the file, or the most that it can be."""
        return self.bytes or self.array_bytes + _LARGEST_NPY_HEADER

    @property
    def published(self) -> tuple[str, str] | None:
        """Algorithm and digits of the published checksum; None where none is published."""
        return _published(self.md5, self.sha256)

    def fits(self, size: int) -> bool:
        """Whether a file of `size` bytes can be this one."""
        return size == self.bytes if self.bytes is not None else self._holds_the_array(size)

    def _holds_the_array(self, size: int) -> bool:
        if self.shape is None:
            return True
        return 0 < size - self.array_bytes <= _LARGEST_NPY_HEADER if self.is_npy else size == self.array_bytes


class DataFolder(Strict):
    """A folder of many files of one kind, which are counted and not listed."""

    name: InnerPath | Literal["."] = Field(description="path inside the set's folder; a dot is that folder itself")
    suffix: str = Field(pattern=r"^\.\w+$", description="suffix of every file in it and below")
    count: Count | None = Field(default=None, description="files in it and below; unset where not published")


class Download(Strict):
    """One file to fetch: an archive, or a file of the set itself."""

    name: FileName = Field(description="what it is called in the downloads folder and on a mirror")
    urls: Annotated[tuple[Url, ...], Field(strict=False, min_length=1)]
    bytes: Count | None = Field(default=None, description="unset where not published")
    md5: Md5 | None = Field(default=None, description="as published")
    sha256: Sha256 | None = Field(default=None, description="as published")
    inside: InnerPath | None = Field(default=None, description="folder of the archive that holds the set's files")
    into: InnerPath | None = Field(default=None, description="folder of the set that the archive is unpacked into")
    holds: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(), description="the set's files and folders that come from it; empty stands for all"
    )

    @model_validator(mode="after")
    def _is_safe_and_whole(self) -> Self:
        if self.published is None and any(not url.startswith("https://") for url in self.urls):
            raise ValueError(f"{self.name}: without a checksum, urls must begin with https://")
        if not self.is_archive and len(self.holds) != 1:
            raise ValueError(f"{self.name}: holds must name the one file that it is")
        return self

    @property
    def is_archive(self) -> bool:
        """Whether it is unpacked; otherwise it is a file of the set under another name."""
        return self.name.endswith(_ARCHIVES)

    @property
    def published(self) -> tuple[str, str] | None:
        """Algorithm and digits of the published checksum; None where none is published."""
        return _published(self.md5, self.sha256)


class DataSource(Strict):
    """What every manifest says: what the set is, and where its files come from."""

    name: str = Field(min_length=1, description="what the user types; also the name of the manifest file")
    title: str = Field(min_length=1, description="what a report prints")
    licence: str = Field(min_length=1)
    citation: str = Field(min_length=1)
    url: str = Field(pattern="^https://", description="where it comes from; the download itself for an archive")
    folder: FileName | None = Field(default=None, description="its folder in the data folder; unset when embedded")
    downloads: Annotated[tuple[Download, ...], Field(strict=False)] = Field(default=(), description="none if embedded")
    files: Annotated[tuple[DataFile, ...], Field(strict=False)] = ()
    folders: Annotated[tuple[DataFolder, ...], Field(strict=False)] = ()
    generated: str | None = Field(default=None, min_length=1, description="what nsbench can make in its place")

    @model_validator(mode="after")
    def _every_entry_comes_from_one_download(self) -> Self:
        entries = [file.name for file in self.files] + [folder.name for folder in self.folders]
        origins = [name for download in self.downloads for name in (download.holds or entries)]
        if self.downloads and sorted(origins) != sorted(set(entries)):
            raise ValueError(f"{self.name}: files and folders are not, each once, what its downloads hold")
        if bool(self.downloads) != (self.folder is not None):
            raise ValueError(f"{self.name}: folder and downloads go together")
        return self

    def files_of(self, download: Download) -> tuple[DataFile, ...]:
        """The files that come from `download`."""
        return tuple(file for file in self.files if not download.holds or file.name in download.holds)

    def folders_of(self, download: Download) -> tuple[DataFolder, ...]:
        """The folders that come from `download`."""
        return tuple(folder for folder in self.folders if not download.holds or folder.name in download.holds)


class FileSet(DataSource):
    """Images to measure on, or for other programs: files to fetch and verify, not a set to train on by its name."""

    kind: Literal["files"]


def _published(md5: str | None, sha256: str | None) -> tuple[str, str] | None:
    if sha256:
        return "sha256", sha256
    return ("md5", md5) if md5 else None
