"""A trained run put to use: images of one's own, and the evaluation on test data."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import runs
from drawn_pictures import NAMES, SPEC, draw_pictures, drawing
from PIL import Image

from chainrule.cli.main import main
from chainrule.runtime.augmentation import Augmentation
from chainrule.runtime.batches import Batches, split
from chainrule.runtime.datasets import load_dataset
from chainrule.runtime.datasets.cifar import CIFAR10
from chainrule.runtime.errors import DataError, RunError
from chainrule.runtime.evaluation import evaluate_run
from chainrule.runtime.images import read_image
from chainrule.runtime.pictures import save_confusion, save_mistakes
from chainrule.runtime.prediction import predict_images
from chainrule.runtime.preprocessing import common_border, fitted
from chainrule.runtime.run import Run, class_scores, load_run
from chainrule.runtime.settings import Settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its pictures and a run of it."""
    root = tmp_path_factory.mktemp("trained")
    draw_pictures(root / "pictures")
    (root / "sides.toml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", ["derive", "train", "sides.toml", "--run-dir", "run", "--quiet"])
        with pytest.raises(SystemExit) as exit_info:
            main()
    assert exit_info.value.code == 0
    return root


# ---- What a run remembers -----------------------------------------------------------------------------


def test_run_remembers_classes_data_and_statistics_of_the_training_part(trained: Path) -> None:
    run = load_run(trained / "run")
    assert run.class_names == NAMES and run.source == f"folder:{trained / 'pictures'}"
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    (kept, _), (held, _) = split(data.train_x, data.train_t, 0.1, 0)
    assert len(held) == 4
    assert run.preprocessing == fitted("zscore", kept) != fitted("zscore", data.train_x)
    assert run.preprocessing.background == pytest.approx(15 / 255, abs=0.02)
    settings = json.loads((trained / "run" / "summary.json").read_text())["settings"]
    assert settings["standardize"] == "zscore" and settings["augmentation"] == {"shift": 1, "cutout": 2}


def test_training_saw_augmented_and_standardized_batches(trained: Path) -> None:
    """The run's parameters are those of steps on just these batches."""
    run = load_run(trained / "run")
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    (x, t), _ = split(data.train_x, data.train_t, 0.1, 0)
    module, parameters = run.program.module, run.program.init_parameters(0)
    state = module.init_optimizer(parameters)
    batches = Batches(x, t, 8, 0, fitted("zscore", x), Augmentation(shift=1, cutout=2))
    for epoch in range(1, 31):
        for a, b in batches.epoch(epoch):
            module.train_step(parameters, a, b, state)
    for name, value in parameters.items():
        np.testing.assert_array_equal(value, run.parameters[name])


@pytest.mark.parametrize("count", [1, 6, 7, 9])
def test_resumed_within_an_epoch_it_sees_the_same_augmented_batches(
    trained: Path, tmp_path: Path, count: int
) -> None:
    run = load_run(trained / "run")
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    table = {"flip": True, "shift": 1.0, "rotation": 10.0, "zoom": 0.1, "cutout": 2.0}
    settings = Settings(2, 8, 0, 0.1, standardize="minmax", augmentation=table)
    runs.quiet(run.program, data, settings, tmp_path / "whole")
    broken = runs.cut(run.program, data, settings, tmp_path / "cut", count)
    assert broken.epochs * 6 + broken.steps == count
    runs.quiet(run.program, data, settings, tmp_path / "cut", resume=True)
    assert runs.outcome(tmp_path / "cut") == runs.outcome(tmp_path / "whole")
    plain = replace(settings, augmentation={})
    runs.quiet(run.program, data, plain, tmp_path / "plain")
    assert runs.outcome(tmp_path / "plain")[0] != runs.outcome(tmp_path / "whole")[0]


# ---- Predict ------------------------------------------------------------------------------------------


def test_images_of_every_kind_are_recognised_and_their_way_is_printed(trained, derive, tmp_path) -> None:
    left = drawing("left", 999)
    big = Image.fromarray(left).resize((80, 80), Image.Resampling.NEAREST)
    Image.fromarray(left).save(tmp_path / "same.png")
    big.convert("RGB").save(tmp_path / "colour.png")
    Image.fromarray(255 - np.asarray(big)).save(tmp_path / "paper.png")
    Image.fromarray(np.asarray(big).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (10, 20, 30, 60))
    clear.save(tmp_path / "clear.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    big.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    files = ["same.png", "colour.png", "paper.png", "deep.png", "clear.png", "turned.jpg"]
    code, out, err = derive("predict", trained / "run", *files, "--json")
    assert (code, err) == (0, "")
    ways = {}
    for image in json.loads(out)["images"]:
        first = image["classes"][0]
        assert first["class"] == "left" and first["probability"] > 0.5, image
        assert sum(each["probability"] for each in image["classes"]) == pytest.approx(1, abs=1e-5)
        ways[image["image"]] = " → ".join(image["way"])
    assert ways["same.png"] == "8×8 grey → /255 → zscore → 1 × 8 × 8 × 1 float32"
    assert ways["colour.png"].startswith("80×80 RGB → grey → 8×8 → /255")
    assert "inverted (border 0.9" in ways["paper.png"] and "inverted" not in ways["colour.png"]
    assert ways["deep.png"].startswith("80×80 16-bit grey → 65535 → 255 → 8×8")
    assert "RGBA → on white → grey → 8×8 → inverted" in ways["clear.png"]
    assert "turned 90° clockwise (EXIF)" in ways["turned.jpg"]
    code, out, _ = derive("predict", trained / "run", "same.png", "--top", "1")
    assert code == 0 and out.splitlines()[0] == f"same.png: {ways['same.png']}"
    assert len(out.splitlines()) == 2 and out.splitlines()[1].split()[0] == "left" and out.endswith("%\n")


def test_inversion_as_asked(trained, tmp_path) -> None:
    run = load_run(trained / "run")
    Image.fromarray(255 - drawing("top", 1)).save(tmp_path / "paper.png")
    paths = [tmp_path / "paper.png"]
    for invert, inverted in ((None, True), (True, True), (False, False)):
        (found,) = predict_images(run, paths, invert=invert)
        assert any("inverted" in step for step in found.way) == inverted
        assert (found.scores[0][0] == "top") == inverted


def test_a_digit_is_cut_out_and_centred(tmp_path) -> None:
    paper = np.full((200, 300), 220, np.uint8)
    paper[150:190, 240:260] = 30  # ink in a corner, 40 high and 20 wide
    Image.fromarray(paper).save(tmp_path / "a.png")
    got = read_image(tmp_path / "a.png", (28, 28, 1), "digit").pixels[:, :, 0]
    rows, columns = np.flatnonzero(got.any(axis=1)), np.flatnonzero(got.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (4, 23, 9, 18) and got.max() == 255
    Image.fromarray(255 - paper).save(tmp_path / "b.png")  # chalk on a board
    np.testing.assert_array_equal(read_image(tmp_path / "b.png", (28, 28, 1), "digit").pixels[:, :, 0], got)
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="nothing stands out"):
        read_image(tmp_path / "c.png", (28, 28, 1), "digit")
    with pytest.raises(DataError, match="grey images"):
        read_image(tmp_path / "a.png", (28, 28, 3), "digit")


def test_borders_that_are_not_alike_are_no_background() -> None:
    rng = np.random.default_rng(0)
    assert common_border(rng.integers(0, 256, (20, 9, 9, 3), np.uint8)) is None
    assert common_border(rng.integers(240, 256, (20, 81), np.uint8)) == pytest.approx(0.97, abs=0.01)
    assert common_border(np.zeros((20, 5), np.float32)) is None, "no images"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none", "a.png"], 2, "none: no such folder"),
        ([".", "a.png"], 2, "no summary.json in it"),
        (["RUN", "none.png"], 3, "none.png: not found"),
        (["RUN", "text.png"], 3, "text.png: cannot be read as an image"),
        (["RUN"], 2, "IMAGE"),
        (["RUN", "text.png", "--top", "0"], 2, "--top"),
    ],
)
def test_faults_of_predict(trained, derive, tmp_path, arguments, code, message) -> None:
    (tmp_path / "text.png").write_text("no image")
    arguments = [trained / "run" if each == "RUN" else each for each in arguments]
    got, out, err = derive("predict", *arguments)
    assert (got, out) == (code, "") and message in err and "Traceback" not in err


# ---- Runs that are none -------------------------------------------------------------------------------


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "run", tmp_path / "copy"))


def change(path: Path, **entries: object) -> None:
    summary = json.loads((path / "summary.json").read_text())
    (path / "summary.json").write_text(json.dumps(summary | entries))


def test_faulty_runs_are_refused(copy: Path) -> None:
    change(copy, inputs={"standardize": "zscore", "offset": [1], "scale": ["x"]})
    with pytest.raises(RunError, match="lists of numbers"):
        load_run(copy)
    change(copy, inputs=[1])
    with pytest.raises(RunError, match="inputs must be a table"):
        load_run(copy)
    change(copy, spec_sha256="0" * 64, inputs={})
    with pytest.raises(RunError, match=r"of two runs"):
        load_run(copy)
    (copy / "summary.json").write_text("[]")
    with pytest.raises(RunError, match="not the summary"):
        load_run(copy)
    (copy / "summary.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read as JSON"):
        load_run(copy)


def test_run_without_parameters_or_program(copy: Path) -> None:
    change(copy, status="running")
    kept = (copy / "parameters.safetensors").read_bytes()
    (copy / "parameters.safetensors").unlink()
    with pytest.raises(RunError, match=r"no parameters\.safetensors in it \(the run is running\)"):
        load_run(copy)
    (copy / "parameters.safetensors").write_bytes(kept[:-4])
    with pytest.raises(RunError, match=r"parameters\.safetensors"):
        load_run(copy)
    shutil.rmtree(copy / "program")
    with pytest.raises(RunError, match="0 programs"):
        load_run(copy)


def test_edited_program_is_used_and_said_to_be(copy, derive, tmp_path) -> None:
    with next(copy.glob("program/*/numpy_trainer.py")).open("a") as file:
        file.write("# mine\n")
    Image.fromarray(drawing("top", 5)).save(tmp_path / "a.png")
    code, out, err = derive("predict", copy, "a.png")
    assert code == 0 and "top" in out and "numpy_trainer.py differ" in err


# ---- Evaluate -----------------------------------------------------------------------------------------


def test_evaluate_writes_tables_and_pictures(trained, derive, tmp_path) -> None:
    code, out, err = derive("evaluate", trained / "run", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    summary = json.loads((trained / "run" / "summary.json").read_text())
    assert found["test_accuracy"] == summary["test_accuracy"]
    assert found["test_loss"] == pytest.approx(summary["test_loss"])
    assert [row["name"] for row in found["classes"]] == list(NAMES)
    assert np.array(found["confusion"]).sum(axis=1).tolist() == [4, 4, 4]
    names = {"evaluation.json", "confusion.png", "confusion.svg"}
    assert names <= {path.name for path in (trained / "run").iterdir()}
    assert json.loads((trained / "run" / "evaluation.json").read_text())["confusion"] == found["confusion"]
    text = derive("evaluate", trained / "run")[1]
    assert "test accuracy" in text and "precision" in text and "one row a class" in text
    assert str(trained / "run" / "confusion.png") in text


def test_evaluate_on_other_data_and_on_missing_data(trained, derive, tmp_path) -> None:
    (tmp_path / "other" / "left").mkdir(parents=True)
    Image.fromarray(drawing("left", 3)).save(tmp_path / "other" / "left" / "a.png")
    Image.fromarray(drawing("left", 4)).save(tmp_path / "other" / "left" / "b.png")
    code, out, _ = derive("evaluate", trained / "run", "--data", "folder:other", "--json")
    assert code == 0 and json.loads(out)["data"]["test"] == 1
    code, _, err = derive("evaluate", trained / "run", "--data", "folder:none")
    assert code == 3 and "none: cannot be read" in err
    code, _, err = derive("evaluate", trained / "run", "--data", "cifar10", "--no-download")
    assert code == 3 and "(32, 32, 3)" in err, "shapes are compared before anything is looked for"
    code, _, err = derive("evaluate", "none")
    assert code == 2 and "no such folder" in err


class Fixed:
    """A run whose outputs are given."""

    path = Path("run")
    preprocessing = staticmethod(lambda x: x)

    def __init__(self, run: Run, outputs: np.ndarray) -> None:
        self.program, self.parameters = run.program, run.parameters
        self.class_names, self.given = run.class_names, outputs

    def outputs(self, x: np.ndarray) -> np.ndarray:
        return self.given


def test_table_and_confusions_by_hand(trained: Path) -> None:
    run = load_run(trained / "run")
    truth = np.array([0, 0, 0, 0, 1, 1, 1])  # nothing is of class 2
    outputs = 0.2 + 0.4 * np.eye(3)[[0, 0, 0, 2, 0, 1, 1]]
    outputs[3] = [0.05, 0, 0.95]
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    data = type(data)("d", data.train_x, data.train_t, data.test_x[:7], truth, "here")
    found = evaluate_run(Fixed(run, outputs), data)  # type: ignore[arg-type]
    assert found.confusion.tolist() == [[3, 0, 1], [1, 2, 0], [0, 0, 0]]
    assert found.accuracy == 5 / 7
    full, left, top = found.rows
    assert (full.precision, full.recall, full.f1, full.count) == (3 / 4, 3 / 4, 3 / 4, 4)
    assert (left.precision, left.recall, left.count) == (1, 2 / 3, 3) and left.f1 == pytest.approx(0.8)
    assert (top.precision, top.recall, top.f1, top.count) == (0, None, None, 0)
    assert [(m.index, m.true, m.taken) for m in found.mistakes] == [(3, "full", "top"), (4, "left", "full")]
    assert found.frequent_confusions() == [("full", "top", 1), ("left", "full", 1)]
    assert "–" in found.to_text()


def test_names_in_any_script_and_with_signs_of_tex_are_drawn(trained: Path, tmp_path: Path) -> None:
    run = load_run(trained / "run")
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    named = replace(run, class_names=("고양이", "$x_1", "a name that is longer than there is room for"))
    found = evaluate_run(Fixed(named, np.roll(np.eye(3)[data.test_t], 1, axis=1)), data)  # type: ignore[arg-type]
    save_confusion(found, [tmp_path / "c.svg"])
    assert save_mistakes(found, data.test_x, [tmp_path / "m.png"])


def test_data_are_found_where_they_lay(derive, tmp_path) -> None:
    folder = tmp_path / "sets" / "cifar10"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, name in enumerate(CIFAR10.binary):
        (folder / name).write_bytes(bytes([3 if number else 5]) + rng.bytes(3072))
    spec = SPEC.replace("[8, 8, 1]", "[32, 32, 3]").replace("units = 3", "units = 10")
    spec = spec.replace("folder:pictures", "cifar10").replace("epochs = 30", "epochs = 1")
    (tmp_path / "c.toml").write_text(spec.replace("validation_split = 0.1", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.runtime.datasets.cifar.CIFAR10", replace(CIFAR10, records=1, test_records=1))
        assert derive("train", "c.toml", "--data-dir", "sets", "--run-dir", "r", "--quiet")[0] == 0
        code, out, _ = derive("evaluate", "r", "--json")
        assert code == 0 and json.loads(out)["classes"][3] | {"precision": 0} == {
            "name": "cat",
            "precision": 0,
            "recall": json.loads(out)["test_accuracy"],
            "f1": json.loads(out)["test_accuracy"],
            "count": 1,
        }
        shutil.rmtree(tmp_path / "sets")
        code, _, err = derive("evaluate", "r")
        assert code == 3 and "Looked for, in order" in err


def test_pictures_show_what_they_should(trained: Path, tmp_path: Path) -> None:
    run = load_run(trained / "run")
    data = load_dataset(run.source, input_shape=(8, 8, 1), classes=3)
    wrong = np.roll(np.eye(3)[data.test_t], 1, axis=1)
    found = evaluate_run(Fixed(run, wrong), data)  # type: ignore[arg-type]
    assert found.accuracy == 0 and len(found.mistakes) == 12
    save_confusion(found, [tmp_path / "c.png", tmp_path / "c.svg"])
    assert save_mistakes(found, data.test_x, [tmp_path / "m.png"])
    for name, most in (("c.png", 0.97), ("m.png", 0.8)):  # most is white, but not all
        pixels = np.asarray(Image.open(tmp_path / name).convert("L"))
        assert 0.2 < np.mean(pixels == 255) < most, name
    grid = np.asarray(Image.open(tmp_path / "m.png").convert("L"))
    assert np.mean(grid < 60) > 0.1, "the images themselves are dark"
    assert not save_mistakes(found, np.zeros((12, 5)), [tmp_path / "n.png"]), "no images"
    first = (tmp_path / "c.png").read_bytes(), (tmp_path / "c.svg").read_bytes()
    save_confusion(found, [tmp_path / "c.png", tmp_path / "c.svg"])
    assert first == ((tmp_path / "c.png").read_bytes(), (tmp_path / "c.svg").read_bytes())


def test_scores_of_single_outputs_and_of_outputs_that_are_no_probabilities() -> None:
    scores, probabilities = class_scores(np.array([[0.2], [0.9]]))
    np.testing.assert_allclose(scores, [[0.8, 0.2], [0.1, 0.9]])
    assert probabilities
    assert not class_scores(np.array([[0.9, 0.8]]))[1] and not class_scores(np.array([[-1.0, 2.0]]))[1]


def test_run_of_a_table_is_evaluated_on_it(derive) -> None:
    examples = Path(__file__).parent.parent / "examples"
    assert derive("train", examples / "or.toml", "--run-dir", "r", "--epochs", "50", "--quiet")[0] == 0
    code, out, _ = derive("evaluate", "r", "--json")
    found = json.loads(out)
    assert code == 0 and found["data"]["training"] == 4 and found["training_loss"] > 0
    assert "test_accuracy" not in found and found["part"] == "training", "there is no test set"
    assert [row["count"] for row in found["classes"]] == [1, 3]
    assert derive("predict", "r", "a.png")[0] == 3
