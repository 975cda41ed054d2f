"""The commands with ``--target c``: runs trained, cut short, resumed, tested; gradients checked."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chainrule.codegen.targets.c as c
import chainrule.running as running

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")
ROOT = Path(__file__).parent.parent
LENET, MLP, XOR = (
    str(ROOT / "examples" / f"{name}.toml") for name in ("lenet5", "mnist_mlp", "xor_backprop")
)
SHORT = ("--data", "mnist_embedded", "--batch-size", "250", "--quiet")


@pytest.mark.parametrize("spec", [XOR, MLP])
def test_gradients_of_the_c_program_are_checked_in_both_types(derive, spec):
    code, out, err = derive("gradcheck", spec, "--target", "c", "--steps", "1", "--samples", "4", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["passed"] and report["target"] == "c"
    tensors = [row for row in report["rows"] if row["tensor"] not in ("loss", "output")]
    assert all(row["float64"] < 1e-12 and row["float32"] < 1e-4 for row in tensors)
    code, out, err = derive("gradcheck", spec, "--target", "c", "--steps", "0", "--samples", "4")
    assert "of the NumPy program" in out and "float64" in out.splitlines()[0]


def test_a_wrong_gradient_in_c_alone_is_found(derive, monkeypatch):
    def planted(program, frame, render=c.TARGET.render):
        files = render(program, frame)
        doubled = "    for (long i = 0; i < 3; ++i) gradients[i] *= 1.001;\n    return w->E[0];"
        before, name, rest = files["c/trainer.c"].partition("_loss_and_gradients(struct")
        return files | {"c/trainer.c": before + name + rest.replace("    return w->E[0];", doubled, 1)}

    monkeypatch.setattr(c, "TARGET", replace(c.TARGET, render=planted))
    monkeypatch.setenv("CHAINRULE_NO_CACHE", "1")
    code, out, _ = derive("gradcheck", XOR, "--target", "c", "--steps", "0")
    assert code == 1 and "W1      3×2" in out
    assert [line.split()[-1] for line in out.splitlines() if " W1 " in line] == ["fail"]


def test_a_run_is_tested_and_looked_at_by_either_program(derive, tmp_path):
    code, out, err = derive(
        "train", MLP, "--target", "c", *SHORT, "--epochs", "1", "--run-dir", "r", "--json"
    )
    assert code == 0, err
    trained = json.loads(out)
    assert trained["settings"]["target"] == "c" and trained["settings"]["threads"] >= 1
    losses = []
    for options in ([], ["--target", "c"], ["--regenerate", "--target", "c"]):
        code, out, err = derive("evaluate", "r", "--json", *options)
        assert code == 0, err
        losses.append(json.loads(out)["test_loss"])
    assert losses[1] == losses[2] == trained["test_loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    seen = [derive("predict", "r", "a.png", "--json", "--target", name) for name in ("numpy", "c")]
    assert [code for code, _, _ in seen] == [0, 0]
    numpy, ours = (json.loads(out)["images"][0]["classes"] for _, out, _ in seen)
    assert [each["class"] for each in numpy] == [each["class"] for each in ours]


def test_a_program_that_a_run_lacks_is_said(derive):
    assert derive("train", MLP, "--target", "numpy", *SHORT, "--epochs", "1", "--run-dir", "r")[0] == 0
    code, out, err = derive("evaluate", "r", "--target", "c")
    assert (code, out) == (2, "")
    assert "no program for c" in err and "--regenerate --target c" in err
    assert derive("evaluate", "r", "--target", "c", "--regenerate")[0] == 0
    code, _, err = derive("train", MLP, *SHORT, "--resume", "r", "--target", "c", "--epochs", "2")
    assert code == 2 and "began with --target numpy" in err


def test_a_run_that_was_cut_short_ends_in_the_same_bytes(tmp_path):
    command = [sys.executable, "-m", "chainrule", "train", LENET, "--target", "c", "--data", "mnist_embedded"]
    command += ["--batch-size", "100", "--checkpoint-every", "7", "--threads", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    whole = [*command, "--epochs", "2", "--run-dir", "whole", "--quiet"]
    subprocess.run(whole, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=120)
    cut = [*command, "--epochs", "2", "--run-dir", "cut"]
    with subprocess.Popen(cut, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 1/" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() in (0, 130)
    go_on = [*command, "--resume", "cut", "--quiet"]
    subprocess.run(go_on, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=120)
    one, other = (tmp_path / name / "parameters.safetensors" for name in ("whole", "cut"))
    assert one.read_bytes() == other.read_bytes()


def test_long_trainings_are_compiled_where_that_can_be_done(derive, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    options = ("--epochs", "2", "--json", "--run-dir")
    settings = json.loads(derive("train", XOR, *options, "short")[1])["settings"]
    assert "target" not in settings, "so little that compiling takes longer"
    monkeypatch.setattr(running, "WORTH", 10)
    code, out, err = derive("train", XOR, *options, "long")
    settings = json.loads(out)["settings"]
    assert code == 0 and settings["target"] == "c" and settings["threads"] == 1
    assert err.startswith("c: ") and ", 1 thread; --target numpy computes with NumPy\n" in err
    assert derive("train", XOR, "--resume", "long", "--epochs", "3")[0] == 0
    code, _, err = derive("train", XOR, "--target", "numpy", *options, "asked")
    assert code == 0 and "--target" not in err
    monkeypatch.setenv("CC", "nowhere-cc")
    code, out, err = derive("train", XOR, *options, "broken")
    assert code == 0 and "target" not in json.loads(out)["settings"]
    assert "nowhere-cc: not found" in err.splitlines()[0] and err.splitlines()[1] == "numpy computes"
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", "")
    code, out, err = derive("train", XOR, *options, "none")
    assert code == 0 and "target" not in json.loads(out)["settings"] and "compiled" not in err
