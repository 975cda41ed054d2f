"""`derive data`, and what `derive train` and `derive evaluate` say of data that are not as they should be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases.data_files import classes, write_spec
from PIL import Image

from chainrule.cli.main import main
from chainrule.runtime.run import load_run

Derive = Callable[..., tuple[int, str, str]]
XOR = "data = { inputs = [[0,0],[0,1],[1,0],[1,1]], targets = [[0],[1],[1],[0]] }"
SOFT = "data = { inputs = [[0,0],[0,1],[1,0]], targets = [[0.5,0.5],[0.2,0.8],[1,0]] }"


@pytest.fixture
def derive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Derive:
    """The command, in an empty folder: its exit code, and what it wrote to stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    for draw in ("runtime.training.save_curves", "cli.using.save_confusion", "cli.using.save_mistakes"):
        # nobody looks at these pictures here
        monkeypatch.setattr(f"chainrule.{draw}", lambda *arguments: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["derive", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def pixels(path: Path, count: int = 20) -> None:
    x = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 1))
    np.savez(path, x_train=x, y_train=np.arange(count) % 3)


def test_data_of_a_source_are_shown(derive: Derive, tmp_path: Path) -> None:
    classes(tmp_path / "d" / "Train", 4, ("cat", "dog"))
    classes(tmp_path / "d" / "val", 2, ("cat", "dog"))
    code, out, err = derive("data", "folder:d", "--plot", "seen.png")
    assert code == 0 and err == ""
    for line in (
        "training    8 samples: cat 4, dog 4",
        "validation  4 samples: cat 2, dog 2",
        "test        none: the last scores are of the validation samples",
        "inputs      6 × 6 × 3, uint8 of 0 … 110, divided by 255",
        "targets     labels of 2 classes",
        "note        Train/ is the training set, val/ is the validation set",
        "picture     seen.png",
    ):
        assert line in out.splitlines()
    assert "cat     dog" in out, "and some samples in letters"
    with Image.open(tmp_path / "seen.png") as seen:
        assert seen.width > 500
    assert derive("data", "d")[1].splitlines()[1] == out.splitlines()[1], "a path alone will do"


def test_data_of_a_spec_are_shown_as_its_network_takes_them(derive: Derive, tmp_path: Path) -> None:
    pixels(tmp_path / "d.npz")
    spec = write_spec(
        tmp_path / "n.toml",
        [36],
        training='data = "npz:d.npz"\nvalidation_split = 0.2\nstandardize = "zscore"',
    )
    code, out, _ = derive("data", spec, "--json")
    found = json.loads(out)
    assert code == 0 and found["splits"]["training"] == {"samples": 20, "classes": [7, 7, 6]}
    assert found["inputs"] == {
        "stored": [6, 6, 1], "shape": [36], "dtype": "int64", "low": 0.0, "high": 255.0, "divided_by": 255
    }  # fmt: skip
    notes = " ".join(found["notes"])
    assert "4 of the training samples are held out" in notes and "standardized (zscore)" in notes
    assert "rows of 36 numbers" in notes and "taken for pixels" in notes
    assert found["text"][0].startswith("data ") and found["class_names"] == ["0", "1", "2"]
    np.savez(tmp_path / "e.npz", x=np.random.default_rng(0).random((9, 3)), t=np.linspace(0, 2, 9))
    out = derive("data", "e.npz")[1]
    assert "1 value, 0 … 2" in out and "(0.637, 0.2698, 0.04097) → 0" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("npz:none.npz",), 3, "not found"),
        (("nothing",), 3, "no such data set"),
        (("none.toml",), 2, "none.toml"),
        (("n.toml",), 2, "names no data"),
        (("n.toml", "--data", "npz:d.npz"), 3, "the network takes (4,)"),
        (("npz:d.npz", "--data", "mnist"), 2, "--data goes with a SPEC"),
        (("npz:d.npz", "--plot", "a.txt"), 2, ".png, .svg or .pdf"),
        (("npz:d.npz", "--plot", "none/a.png"), 2, "cannot be written"),
        (("cifar10",), 3, "--download fetches it"),
    ],
)
def test_data_that_cannot_be_shown(
    derive: Derive, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    pixels(tmp_path / "d.npz")
    write_spec(tmp_path / "n.toml", [4])
    found, out, err = derive("data", *arguments)
    assert (found, out) == (code, "") and message in err and "Traceback" not in err


def test_what_was_found_is_shown_before_training_and_kept(derive: Derive, tmp_path: Path) -> None:
    pixels(tmp_path / "d.npz")
    spec = write_spec(tmp_path / "n.toml", [6, 6, 1])
    code, _, err = derive("train", spec, "--data", "npz:d.npz", "--run-dir", "r")
    assert code == 0
    text = derive("data", spec, "--data", "npz:d.npz")[1].split("\n\n")[0]
    assert err.startswith(text) and "divided by 255" in text
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert "\n".join(summary["data"]["found"]["text"]) == text


# ---- No test set, no validation set (D3, D12) ---------------------------------------------------------


def test_d12_training_accuracy_is_called_so(derive: Derive, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "n.toml", [2], 1, "sigmoid", "binary_cross_entropy", XOR)
    code, out, _ = derive("train", spec, "--run-dir", "r")
    assert code == 0 and "test accuracy" not in out and "training accuracy" in out and "no test set" in out
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["test_accuracy"] is None and summary["training_accuracy"] is not None
    found = json.loads(derive("evaluate", "r", "--json")[1])
    assert found["part"] == "training" and "test_accuracy" not in found
    assert found["training_accuracy"] == summary["training_accuracy"]


@pytest.mark.parametrize("split", ["validation_split = 0.1\n", ""])
def test_d12_early_stopping_without_a_validation_set_is_refused(
    derive: Derive, tmp_path: Path, split: str
) -> None:
    spec = write_spec(tmp_path / "n.toml", [2], 1, "sigmoid", "mse", f"{XOR}\n{split}early_stopping = 3")
    code, _, err = derive("train", spec)
    assert code == 2 and "early_stopping" in err and not (tmp_path / "runs").exists()
    assert ("of 4 samples holds out none" in err) == bool(split)


def test_d3_validation_folder_is_what_early_stopping_watches(derive: Derive, tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2)):
        classes(tmp_path / "d" / part, count)
    spec = write_spec(
        tmp_path / "n.toml",
        [6, 6, 3],
        training='data = "folder:d"\nvalidation_split = 0.5\nearly_stopping = 1',
    )
    code, out, err = derive("train", spec, "--run-dir", "r")
    assert code == 0 and "validation accuracy" in out and "test accuracy" not in out
    assert "validation_split = 0.5 is not used" in err
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["best_epoch"] == 1 and summary["data"]["validation"] == 6
    assert summary["validation_loss"] == pytest.approx(summary["history"][0]["validation_loss"])


# ---- Targets of a single output, and soft ones (D7, D9) -----------------------------------------------


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse"])
def test_d7_one_sigmoid_unit_has_an_accuracy(derive: Derive, tmp_path: Path, loss: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    t = (x.sum(axis=1) > 0).astype(np.int64)
    np.savez(tmp_path / "d.npz", x_train=x, y_train=t, x_test=x[:20], y_test=t[:20])
    spec = write_spec(tmp_path / "n.toml", [4], 1, "sigmoid", loss)
    code, out, err = derive("train", spec, "--data", "npz:d.npz", "--epochs", 40, "--run-dir", "r")
    accuracy = json.loads((tmp_path / "r" / "summary.json").read_text())["test_accuracy"]
    assert (
        code == 0
        and accuracy > (0.9 if loss != "mse" else 0)
        and f"test accuracy  {accuracy:.2%}" in out
        and "accuracy" in err
    )
    assert [row["count"] for row in json.loads(derive("evaluate", "r", "--json")[1])["classes"]] == [
        int((t[:20] == 0).sum()), int(t[:20].sum())
    ]  # fmt: skip


def test_d7_regression_has_none(derive: Derive, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    np.savez(tmp_path / "d.npz", x_train=x, y_train=(40 + 9 * x[:, 0]).astype(np.int64))
    spec = write_spec(tmp_path / "n.toml", [4], 1, "identity", "mse")
    code, out, _ = derive("train", spec, "--data", "npz:d.npz", "--epochs", 30, "--run-dir", "r")
    assert code == 0 and "accuracy" not in out
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["training_loss"] < 20


def test_d9_soft_rows_of_a_spec_train(derive: Derive, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "n.toml", [2], 2, training=SOFT)
    code, _, err = derive("train", spec, "--epochs", 200, "--run-dir", "r")
    assert code == 0 and "rows of probabilities for 2 classes" in err
    run = load_run(tmp_path / "r")
    soft, x = np.array([[0.5, 0.5], [0.2, 0.8], [1, 0]]), np.array([[0, 0], [0, 1], [1, 0]], np.float32)
    entropy = -(soft * np.log(np.maximum(soft, 1e-9))).sum(axis=1).mean()
    loss = json.loads((tmp_path / "r" / "summary.json").read_text())["training_loss"]
    assert entropy < loss < entropy + 0.1, "the least that the loss can be is the entropy of the targets"
    assert np.abs(run.outputs(x) - soft).max() < 0.2
    assert derive("evaluate", "r", "--regenerate")[0] == 0
    assert derive("gradcheck", spec)[0] == 0


def test_d9_soft_rows_of_an_archive_train_the_same_spec(derive: Derive, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.ones(3), 30)
    np.savez(tmp_path / "d.npz", x_train=rng.random((30, 2)), y_train=soft)
    spec = write_spec(tmp_path / "n.toml", [2])
    assert derive("train", spec, "--data", "npz:d.npz", "--run-dir", "r")[0] == 0
    for more in ((), ("--regenerate",)):
        assert json.loads(derive("evaluate", "r", "--json", *more)[1])["training_accuracy"] is not None
    soft[7, 0] += 0.2
    np.savez(tmp_path / "d.npz", x_train=rng.random((30, 2)), y_train=soft)
    code, _, err = derive("train", spec, "--data", "npz:d.npz")
    assert code == 3 and "row 7 sums to 1.2" in err


def test_labels_may_stand_in_a_spec(derive: Derive, tmp_path: Path) -> None:
    rows = "data = {{ inputs = [[0,1],[1,0],[1,1]], targets = {} }}"
    spec = write_spec(tmp_path / "n.toml", [2], training=rows.format("[0, 2, 1]"))
    code, out, _ = derive("data", spec)
    assert code == 0 and "3 samples: 0 1, 1 1, 2 1" in out
    write_spec(spec, [2], training=rows.format("[0, 3, 1]"))
    code, _, err = derive("data", spec)
    assert code == 2 and "targets[2]: 3 is no label of 3 classes, which are 0 … 2" in err


def test_other_folders_are_numbered_by_the_classes_of_the_run(derive: Derive, tmp_path: Path) -> None:
    classes(tmp_path / "d" / "train", 6)
    classes(tmp_path / "d" / "test", 2)
    classes(tmp_path / "e" / "train", 2, ("2",))  # alone, it would be number 0
    classes(tmp_path / "e" / "test", 3, ("2",))
    spec = write_spec(tmp_path / "n.toml", [6, 6, 3], training='data = "folder:d"')
    assert derive("train", spec, "--run-dir", "r")[0] == 0
    found = json.loads(derive("evaluate", "r", "--data", "folder:e", "--json")[1])
    assert [row["count"] for row in found["classes"]] == [0, 0, 3]
    classes(tmp_path / "e" / "test", 3, ("9",))
    assert derive("evaluate", "r", "--data", "folder:e")[0] == 3


def test_inputs_on_another_scale_than_in_training_are_said(derive: Derive, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 6, 6, 1))
    np.savez(tmp_path / "d.npz", x_train=16 * x, y_train=np.arange(20) % 3)
    np.savez(tmp_path / "e.npz", x_train=x, y_train=np.arange(20) % 3)
    spec = write_spec(tmp_path / "n.toml", [6, 6, 1])
    assert derive("train", spec, "--data", "npz:d.npz", "--run-dir", "r")[0] == 0
    Image.new("L", (6, 6), 200).save(tmp_path / "a.png")
    assert "0 … 1, although training inputs were" in derive("predict", "r", "a.png")[1]
    assert "another scale?" in derive("evaluate", "r", "--data", "npz:e.npz")[2]
    assert "another scale?" not in derive("evaluate", "r", "--data", "npz:d.npz")[2]


@pytest.mark.parametrize("targets", ["[1, 0, 1]", "[[0.5,0.5],[0.2,0.8],[1,0]]"])
def test_d9_label_smoothing_spreads_a_share_of_the_targets(
    derive: Derive, tmp_path: Path, targets: str
) -> None:
    data = f"data = {{ inputs = [[0,0],[0,1],[1,0]], targets = {targets} }}"
    spec = write_spec(tmp_path / "n.toml", [2], 2, training=data)
    spec.write_text(spec.read_text().replace("[training]", "label_smoothing = 0.2\n[training]"))
    assert derive("train", spec, "--run-dir", "r")[0] == 0
    run, found = load_run(tmp_path / "r"), json.loads((tmp_path / "r" / "summary.json").read_text())
    given = np.array(json.loads(targets))
    rows = np.eye(2)[given] if given.ndim == 1 else given
    p = run.outputs(np.array([[0, 0], [0, 1], [1, 0]], np.float32))
    smooth = 0.8 * rows + 0.2 / 2
    assert found["training_loss"] == pytest.approx(-(smooth * np.log(p)).sum(axis=1).mean(), rel=1e-5)
    assert derive("gradcheck", spec)[0] == 0
    text = derive(spec, "--format", "text")[1]
    definition = "T[n,k] = 0.1 + 0.8 [k = t[n]]" if given.ndim == 1 else "T[n,k] = 0.8 t[n,k] + 0.1"
    assert definition in text and "label_smoothing" in (tmp_path / "r" / "spec.toml").read_text()
    write_spec(spec, [2], 2, loss="mse")
    spec.write_text(spec.read_text().replace("[training]", "label_smoothing = 0.2\n[training]"))
    code, _, err = derive("check", spec)
    assert code == 2 and "E408" in err and "cross_entropy" in err


def deep_images(folder: Path, bright: float) -> None:
    """16-bit pictures of two classes: bright on the left, or on the right."""
    for side, name in enumerate("lr"):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            values = np.zeros((6, 6), np.uint16)
            values[:, 3 * side : 3 * side + 3] = 65535 * bright - 2 * i
            Image.fromarray(values).save(folder / name / f"{i}.png")


def test_a_run_keeps_the_scale_of_its_images(derive: Derive, tmp_path: Path) -> None:
    """A dark picture of more than 8 bits stays dark: its probabilities are those of its values / 65,535."""
    deep_images(tmp_path / "d", 1)
    deep_images(tmp_path / "dark", 0.01)
    spec = write_spec(tmp_path / "n.toml", [6, 6, 1], units=2, training='data = "folder:d"')
    assert derive("train", spec, "--run-dir", "r")[0] == 0
    summary = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert summary["data"]["found"]["inputs"]["full_scale"] == 65535
    values = np.full((6, 6), 255, np.uint16)  # 1 of 255 everywhere
    Image.fromarray(values).save(tmp_path / "dark16.png")
    code, out, _ = derive("predict", "r", "dark16.png", "--top", 2, "--json", "--no-invert")
    (found,) = json.loads(out)["images"]
    run = load_run(tmp_path / "r")
    wanted = run.outputs(np.full((1, 6, 6, 1), 1, np.uint8)).reshape(-1)
    got = {row["class"]: row["probability"] for row in found["classes"]}
    assert code == 0 and [got["l"], got["r"]] == pytest.approx(wanted.tolist(), abs=1e-6)
    assert "65535 → 255 as in training" in found["way"]
    x = np.zeros((2, 6, 6, 1), np.uint8)
    x[0, :, :3], x[1, :, 3:] = 3, 3  # 655 of 65,535 are 2.55 of 255
    code, out, err = derive("evaluate", "r", "--data", "folder:dark", "--json")
    loss = -np.log(run.outputs(x)[[0, 1], [0, 1]]).mean()
    assert code == 0 and json.loads(out)["test_loss"] == pytest.approx(loss, abs=1e-6)
    assert "another scale" not in err
    summary["data"]["found"]["inputs"]["full_scale"] = "a"
    (tmp_path / "r" / "summary.json").write_text(json.dumps(summary))
    code, _, err = derive("predict", "r", "dark16.png")
    assert code == 2 and "full_scale must be a number above 0; the file is damaged" in err
    del summary["data"]["found"]["inputs"]["full_scale"]
    (tmp_path / "r" / "summary.json").write_text(json.dumps(summary))
    assert "255 → 255 → " in derive("predict", "r", "dark16.png")[1], "a run without the record"
