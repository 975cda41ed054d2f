"""What the cases share: the command run in an empty folder, and a finished run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import SMALL, small_data

from chainrule.cli.main import main


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its data, an image and a finished run."""
    root = tmp_path_factory.mktemp("trained")
    data = small_data()
    parts = {"x_train": data.train_x, "y_train": data.train_t, "x_test": data.test_x, "y_test": data.test_t}
    np.savez(root / "data.npz", **parts)
    (root / "small.toml").write_text(SMALL)
    Image.fromarray(data.train_x[0, :, :, 0]).save(root / "a.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["derive", "train", "small.toml", "--run-dir", "run", "--quiet"])
        with pytest.raises(SystemExit) as exit_info:
            main()
    assert exit_info.value.code == 0
    return root


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be spoilt."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with data.npz as `derive train` takes it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 8, 8), np.uint8), rng.integers(0, 3, 20)
    np.savez("data.npz", x_train=x, y_train=y, x_test=x[:5], t_test=y[:5])
    np.savez("inputs.npz", x=x[:4])
    return tmp_path
