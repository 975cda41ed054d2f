"""The IDX data sets that can be had by name: their files, the hash of each file's content, their mirrors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IdxFile:
    """One file of a set: base name, dimensions, bytes and SHA-256 of the *unpacked* file.

    The hash is of the content, so that it holds for every mirror, however it compressed the file.
    """

    stem: str
    ndim: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The canonical file name, without .gz."""
        return f"{self.stem}-idx{self.ndim}-ubyte"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which the file is looked for."""
        other = f"{self.stem}.idx{self.ndim}-ubyte"
        return (self.name, f"{self.name}.gz", other, f"{other}.gz")


@dataclass(frozen=True)
class Source:
    """A data set of four IDX files: training images, training labels, test images, test labels."""

    name: str
    folders: tuple[str, ...]
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]


def _files(
    train_images: str, train_labels: str, test_images: str, test_labels: str
) -> tuple[IdxFile, IdxFile, IdxFile, IdxFile]:
    return (
        IdxFile("train-images", 3, 47_040_016, train_images),
        IdxFile("train-labels", 1, 60_008, train_labels),
        IdxFile("t10k-images", 3, 7_840_016, test_images),
        IdxFile("t10k-labels", 1, 10_008, test_labels),
    )


SOURCES = {
    source.name: source
    for source in (
        Source(
            "mnist",
            ("mnist",),
            _files(
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
        ),
        Source(
            "fashion_mnist",
            ("fashion-mnist", "fashion_mnist"),
            _files(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
        ),
    )
}
