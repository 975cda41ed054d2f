"""The data sets that can be had by name: their files, the hash of each file's content, their mirrors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.runtime.datasets.cifar import CIFAR10, CIFAR100, read_cifar10, read_cifar100
from chainrule.runtime.datasets.dataset import Parts
from chainrule.runtime.datasets.idx import read_idx_set, unpacked


@dataclass(frozen=True)
class File:
    """One file of a set: bytes and SHA-256 of its content, and the names under which it is looked for.

    A file that mirrors hold `gzipped` is kept unpacked, and the hash is that of the unpacked file, so that it
    holds for every mirror, however it compressed the file.
    """

    name: str
    size: int
    sha256: str
    names: tuple[str, ...]
    gzipped: bool

    @property
    def remote(self) -> str:
        """What mirrors call the file."""
        return f"{self.name}.gz" if self.gzipped else self.name

    def content(self, data: bytes) -> bytes:
        """The content in the bytes of a file.  Raises ValueError when they are damaged."""
        return unpacked(data, self.size) if self.gzipped else data


@dataclass(frozen=True)
class DataSource:
    """A data set: its published files, how to read them, the shape of one image, what its classes are called.

    `binary` names files that hold the same, as a user may have them in a folder; nobody publishes them, and
    `read` takes them as well.  `pickled` names what is published beside them and never loaded, for it is
    Python's pickles.  `what` is how a message names the files.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[File, ...]
    mirrors: tuple[str, ...]
    read: Callable[[Sequence[Path]], Parts]
    class_names: tuple[str, ...]
    what: str
    shape: tuple[int, ...]
    classes: int
    binary: tuple[str, ...] = ()
    pickled: tuple[str, ...] = ()


def _idx(stem: str, ndim: int, size: int, sha256: str) -> File:
    name, other = f"{stem}-idx{ndim}-ubyte", f"{stem}.idx{ndim}-ubyte"
    return File(name, size, sha256, (name, f"{name}.gz", other, f"{other}.gz"), gzipped=True)


def _idx_files(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[File, ...]:
    return (
        _idx("train-images", 3, 47_040_016, train_images),
        _idx("train-labels", 1, 60_008, train_labels),
        _idx("t10k-images", 3, 7_840_016, test_images),
        _idx("t10k-labels", 1, 10_008, test_labels),
    )


_IDX_WHAT = "its four IDX files"
DIGITS = tuple("0123456789")
GREY, COLOUR = (28, 28, 1), (32, 32, 3)
SOURCES = {
    source.name: source
    for source in (
        DataSource(
            "mnist",
            ("mnist",),
            _idx_files(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
                "http://yann.lecun.com/exdb/mnist/",
            ),
            read_idx_set,
            DIGITS,
            _IDX_WHAT,
            GREY,
            10,
        ),
        DataSource(
            "fashion_mnist",
            ("fashion-mnist", "fashion_mnist"),
            _idx_files(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
            read_idx_set,
            (
                "T-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ),
            _IDX_WHAT,
            GREY,
            10,
        ),
        DataSource(
            "cifar10",
            ("cifar10", CIFAR10.folder),
            (  # its official MD5 is c32a1d4ab5d03f1284b67883e8d87530
                File(
                    "cifar-10-binary.tar.gz",
                    170_052_171,
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    ("cifar-10-binary.tar.gz",),
                    gzipped=False,
                ),
            ),
            ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
            read_cifar10,
            (
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
            f"{CIFAR10.binary[0]} … {CIFAR10.binary[-2]} and {CIFAR10.test}",
            COLOUR,
            10,
            CIFAR10.binary,
            ("cifar-10-python.tar.gz", "cifar-10-batches-py"),
        ),
        DataSource(
            "cifar100",
            ("cifar100", CIFAR100.folder),
            (  # its official MD5 is 03b5dce01913d631647c71ecec9e9cb8
                File(
                    "cifar-100-binary.tar.gz",
                    168_513_733,
                    "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                    ("cifar-100-binary.tar.gz",),
                    gzipped=False,
                ),
            ),
            ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
            read_cifar100,
            (),
            f"{CIFAR100.training[0]}, {CIFAR100.test} and {CIFAR100.names}",
            COLOUR,
            100,
            CIFAR100.binary,
            ("cifar-100-python.tar.gz", "cifar-100-python"),
        ),
    )
}
