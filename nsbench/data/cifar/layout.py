"""How CIFAR-10 and CIFAR-100 are laid out on disk: the names in which they differ, beside those of their manifests."""

from dataclasses import dataclass

from nsbench.data.library.manifests import Manifest, ManifestFile


@dataclass(frozen=True)
class CifarLayout:
    """Names inside the official python archive, and inside the parquet files of the Hugging Face hub.

    Attributes:
        test_file: pickle of the test images.
        meta_file: pickle of the class names.
        label_key: key of the labels in a pickle.
        label_column: column of the labels in a parquet file.
        parquet_folders: where under the data folder parquet files are looked for, in this order.
    """

    test_file: str
    meta_file: str
    label_key: bytes
    label_column: str
    parquet_folders: tuple[str, ...]

    def training_files(self, manifest: Manifest) -> list[ManifestFile]:
        """The pickles of the training images, in order."""
        return [file for file in manifest.files if file.name not in (self.test_file, self.meta_file)]


LAYOUTS = {
    "cifar10": CifarLayout(
        test_file="test_batch",
        meta_file="batches.meta",
        label_key=b"labels",
        label_column="label",
        parquet_folders=("cifar10", "parquet", "plain_text", "."),
    ),
    "cifar100": CifarLayout(
        test_file="test",
        meta_file="meta",
        label_key=b"fine_labels",
        label_column="fine_label",
        parquet_folders=("cifar100", "parquet", "."),
    ),
}
