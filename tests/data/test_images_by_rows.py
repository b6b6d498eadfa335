"""Sets of images are read by rows, and read the same wherever they lie."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nsbench.data.images import ImageSet, content_checksum
from nsbench.data.rows.images import Images, Rows, in_blocks
from nsbench.data.rows.mapped import MappedImages
from nsbench.data.rows.pictures import PictureFiles, find_pictures, open_picture_folder
from nsbench.data.rows.views import ChosenImages, JoinedImages
from nsbench.errors import UserError

PIXELS = np.random.default_rng(3).integers(0, 256, (11, 6, 6, 3), dtype=np.uint8)
ROWS: tuple[Rows, ...] = (
    slice(None),
    slice(2, 5),
    slice(9, 40),
    slice(4, 4),
    slice(None, None, 3),
    slice(-2, None),
    np.array([7, 0, 7, 10]),
    np.arange(0),
)


def in_memory(folder: Path) -> Images:
    del folder
    return PIXELS


def mapped(folder: Path) -> Images:
    np.save(folder / "images.npy", PIXELS)
    return MappedImages(folder / "images.npy")


def mapped_by_numpy(folder: Path) -> Images:
    np.save(folder / "images.npy", PIXELS)
    return np.load(folder / "images.npy", mmap_mode="r")


def pictures(folder: Path) -> Images:
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return PictureFiles(find_pictures(folder), 6)


def chosen(folder: Path) -> Images:
    del folder
    return ChosenImages(np.concatenate([PIXELS[::-1], PIXELS]), np.arange(10, -1, -1))


def joined(folder: Path) -> Images:
    return JoinedImages(PIXELS[:4], ChosenImages(mapped(folder), np.arange(4, 11)))


@pytest.fixture(params=[in_memory, mapped, mapped_by_numpy, pictures, chosen, joined])
def images(request: pytest.FixtureRequest, tmp_path: Path) -> Images:
    make: Callable[[Path], Images] = request.param
    return make(tmp_path)


def test_every_kind_of_set_gives_the_rows_that_an_array_gives(images: Images) -> None:
    assert len(images) == 11
    assert tuple(images.shape) == PIXELS.shape
    for rows in ROWS:
        found = images[rows]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, PIXELS[rows])
    with pytest.raises(IndexError):
        images[np.array([11])]


def test_the_checksum_names_the_content_wherever_it_lies(images: Images) -> None:
    labels = np.arange(11)
    assert content_checksum(ImageSet(images, labels)) == content_checksum(ImageSet(PIXELS, labels))
    assert content_checksum(ImageSet(images)) != content_checksum(ImageSet(PIXELS, labels))


def test_selected_images_are_the_same_from_every_kind_of_set(images: Images) -> None:
    picked = ImageSet(images, np.arange(11)).select(np.array([8, 1, 8])).select(np.array([2, 1]))
    assert picked.labels.tolist() == [8, 1]
    np.testing.assert_array_equal(picked.images[:], PIXELS[[8, 1]])


class Watched:
    """Images that remember the most rows asked for at once."""

    def __init__(self) -> None:
        self.shape, self.most = PIXELS.shape, 0

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]:
        found = PIXELS[rows]
        self.most = max(self.most, len(found))
        return found


def test_whoever_goes_through_a_set_holds_a_few_images_at_a_time() -> None:
    images = Watched()
    blocks = list(in_blocks(images, 2 * 6 * 6 * 3 + 1))
    assert [len(block) for block in blocks] == [2, 2, 2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), PIXELS)
    assert images.most == 2
    assert len(list(in_blocks(images, 1))) == 11


def test_selecting_reads_nothing_of_a_set_on_a_disk() -> None:
    images = Watched()
    picked = ImageSet(images, np.arange(11)).select(np.arange(1, 9))
    assert images.most == 0
    np.testing.assert_array_equal(picked.images[1:3], PIXELS[2:4])
    assert images.most == 2


def test_a_mapped_file_of_something_else_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.arange(3))
    with pytest.raises(UserError, match=r"labels.npy holds int64 \(3,\) instead of images, uint8"):
        MappedImages(tmp_path / "labels.npy")


def test_a_mapped_file_cut_short_after_it_was_opened_is_one_sentence(tmp_path: Path) -> None:
    images = mapped(tmp_path)
    with (tmp_path / "images.npy").open("r+b") as file:
        file.truncate(500)
    with pytest.raises(UserError, match=r"images.npy is truncated"):
        images[:2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n and no more", b"GIF89a"])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path, content: bytes) -> None:
    images = pictures(tmp_path)
    (tmp_path / "04.png").write_bytes(content)
    np.testing.assert_array_equal(images[:4], PIXELS[:4])
    with pytest.raises(UserError, match=r"04.png .*: replace it, or take it out of the folder"):
        images[:]


def test_a_picture_that_vanished_is_named(tmp_path: Path) -> None:
    images = pictures(tmp_path)
    (tmp_path / "09.png").unlink()
    with pytest.raises(UserError, match=r"09.png"):
        images[8:]


def test_the_shorter_side_is_resized_and_the_middle_cut_out(tmp_path: Path) -> None:
    wide = np.zeros((20, 50, 3), np.uint8)
    wide[:, 20:30] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    tall, across = PictureFiles(find_pictures(tmp_path), 8, 10)[:]
    expected = np.asarray(Image.fromarray(wide).resize((25, 10), Image.Resampling.BILINEAR).crop((8, 1, 16, 9)))
    np.testing.assert_array_equal(across, expected)
    np.testing.assert_array_equal(tall, expected.transpose(1, 0, 2))
    assert expected[0, 4, 0] == 200
    assert expected[0, 0, 0] == 0


def test_grey_and_jpeg_pictures_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 6), 90, np.uint8)).save(tmp_path / "a.JPEG")
    found = PictureFiles(find_pictures(tmp_path), 6)[:]
    assert found.shape == (1, 6, 6, 3)
    assert abs(found.astype(int) - 90).max() <= 1


def test_a_folder_a_class_gives_labels_and_class_names(tmp_path: Path) -> None:
    for name, pixels in zip(("b/2", "b/10", "a/x/1"), PIXELS, strict=False):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    found, classes = open_picture_folder(tmp_path, 6)
    assert classes == ("a", "b")
    assert found.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found.images[:], PIXELS[[2, 1, 0]])


def test_a_class_without_pictures_and_a_folder_without_classes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no folders in it"):
        open_picture_folder(tmp_path, 6)
    (tmp_path / "cat").mkdir()
    with pytest.raises(UserError, match=r"cat holds no JPEG or PNG file"):
        open_picture_folder(tmp_path, 6)
    with pytest.raises(UserError, match=r"missing cannot be read"):
        open_picture_folder(tmp_path / "missing", 6)
