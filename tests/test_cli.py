"""The command: results, exit codes, messages, and what happens to files (faults 11, 23, 24 and 35)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
OR = str(EXAMPLES / "or.toml")


def command(*arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


# ---- Equations -------------------------------------------------------------------------------------


def test_spec_prints_latex_by_default(derive):
    code, out, err = derive(OR)
    assert (code, err) == (0, "")
    assert r"z^{(1)}_{nk} &= \sum_{j} W^{(1)}_{kj} a^{(0)}_{nj} + b^{(1)}_{k} \tag{2}" in out


def test_forms_and_formats(derive):
    assert "δ1 = " in derive(OR, "--form", "matrix", "--format", "text")[1]
    code, out, _ = derive(OR, "--json")
    record = json.loads(out)
    assert code == 0 and record["name"] == "or_gate"
    keys = {"number", "role", "symbol", "latex", "text", "shape", "because", "rule"}
    assert all(keys <= set(equation) for equation in record["equations"])
    assert {"notes", "results"} <= set(record)


def test_worked_example_takes_other_givens(derive):
    code, out, _ = derive("mse-minimum", "--format", "json")
    assert code == 0 and json.loads(out)["results"]["w"] == "55/31"
    # E = ½((1 − 0.1w)² + (1 − 0.5w)²) has its minimum where 0.26 w = 0.6
    out = derive("mse-minimum", "--given", "y=0.1*w, 0.5*w", "--given", "t=1,1", "--json")[1]
    assert json.loads(out)["results"]["w"] == "30/13"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmx"], "Did you mean softmax"),
        (["missing.toml"], "missing.toml"),
        (["mse-minimum", "--given", "y=__import__('os')"], "^"),
        (["mse", "--form", "tensor"], "'index', 'matrix'"),
        (["train", "missing.toml"], "missing.toml"),
        (["generate"], "SPEC..."),
        (["trian", "missing.toml"], "'trian' is no command. Did you mean train?"),
        (["softmax", "sigmoid"], "'softmax' is no command. A topic or a spec stands alone."),
    ],
)
def test_bad_usage_is_one_message_and_exit_2(derive, arguments, message):
    code, out, err = derive(*arguments)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err


def test_spec_with_problems_lists_them_all(derive, tmp_path):
    text = (EXAMPLES / "or.toml").read_text().replace("units = 1", "unitz = 1").replace('"mse"', '"msee"')
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = derive("bad.toml")
    assert (code, out) == (2, "")
    assert "unitz" in err and "msee" in err and "bad.toml:" in err


def test_list_names_everything(derive):
    found = json.loads(derive("list", "--json")[1])
    assert {"topics", "layers", "activations", "losses", "optimizers", "specs"} <= set(found)
    assert "mse-minimum" in found["topics"]
    assert "gelu" in found["activations"]
    assert "adam" in found["optimizers"]


def test_check_counts_the_lecture_network(derive):
    result = json.loads(derive("check", str(EXAMPLES / "mnist_mlp.toml"), "--json")[1])
    assert result["parameters"] == 13_002
    dense = [(layer["output"], layer["parameters"]) for layer in result["layers"] if layer["type"] == "dense"]
    assert dense == [([16], 12_560), ([16], 272), ([10], 170)]
    assert result["memory"]["parameters"] == 13_002 * 4


def test_schema_is_json(derive):
    assert json.loads(derive("schema")[1])["$schema"].startswith("https://json-schema.org/")


# ---- Generated programs (faults 11 and 35) ---------------------------------------------------------


def test_generate_writes_the_folder_and_check_finds_it_fresh(derive, tmp_path):
    assert derive("generate", OR)[0] == 0
    folder = tmp_path / "generated" / "or_gate"
    assert {p.name for p in folder.iterdir()} == {"numpy_trainer.py", "equations.tex", "manifest.json"}
    assert derive("generate", "--check", OR)[0] == 0


def test_fault_35_a_stale_program_fails_the_check(derive, tmp_path):
    derive("generate", OR)
    changed = tmp_path / "or.toml"
    changed.write_text((EXAMPLES / "or.toml").read_text().replace("[-0.99]", "[-0.98]"))
    code, _, err = derive("generate", "--check", "or.toml")
    assert code == 1
    assert "-0.98" in err, "the difference is shown"
    assert derive("generate", "--check", "--output", "elsewhere", OR)[0] == 1


@pytest.mark.parametrize("output", ["../outside", "/outside-of-here", "here/../../outside"])
def test_fault_11_output_outside_is_refused_unless_forced(derive, tmp_path, output):
    code, out, err = derive("generate", "--output", output, OR)
    assert (code, out) == (2, "") and "--force" in err
    assert not Path(output).exists()


def test_fault_11_symbolic_links_are_refused_unless_forced(derive, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    code, _, err = derive("generate", "--output", "link", OR)
    assert code == 2 and "symbolic link" in err
    assert not list((tmp_path / "real").iterdir())
    assert derive("generate", "--output", "link", "--force", OR)[0] == 0


def test_fault_11_edited_files_are_kept_and_the_difference_shown(derive, tmp_path):
    derive("generate", OR)
    program = tmp_path / "generated" / "or_gate" / "numpy_trainer.py"
    program.write_text(program.read_text() + "\n# mine\n")
    code, _, err = derive("generate", OR)
    assert code == 2 and "edited by hand" in err and "# mine" in err
    assert "# mine" in program.read_text()
    assert derive("generate", "--force", OR)[0] == 0
    assert "# mine" not in program.read_text()


def test_an_older_generated_file_is_no_edit(derive, tmp_path):
    derive("generate", OR)
    (tmp_path / "or.toml").write_text((EXAMPLES / "or.toml").read_text().replace("[-0.99]", "[-0.98]"))
    assert derive("generate", "or.toml")[0] == 0


# ---- Running ---------------------------------------------------------------------------------------


def test_train_writes_what_it_says(derive, tmp_path):
    code, out, _ = derive("train", OR, "--epochs", "50", "--json")
    result = json.loads(out)
    assert code == 0
    assert {"test_accuracy", "test_loss", "epochs", "seconds", "run"} <= set(result)
    run = tmp_path / result["run"]
    names = {p.name for p in run.iterdir()}
    assert {"parameters.safetensors", "summary.json", "curves.png", "curves.svg", "program"} <= names
    assert result["epochs"] == 50
    assert derive("train", OR, "--run-dir", str(run))[0] == 2, "a run's folder is never used twice"


def test_trained_program_runs_without_us(derive, tmp_path):
    result = json.loads(derive("train", OR, "--epochs", "5", "--json")[1])
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    np.savez(tmp_path / "or.npz", x_train=x, t_train=np.array([[0], [1], [1], [1]], np.float32))
    program = tmp_path / result["program"]
    done = subprocess.run(
        [sys.executable, "-I", program, "--data", tmp_path / "or.npz", "--epochs", "3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 3


def test_data_that_is_missing_exits_3(derive):
    code, out, err = derive("train", OR, "--data", "npz:nowhere.npz")
    assert (code, out) == (3, "") and "nowhere.npz" in err


def test_gradcheck_exits_0_and_reports(derive):
    code, out, _ = derive("gradcheck", OR, "--json")
    report = json.loads(out)
    assert code == 0 and report["passed"] is True


def test_fault_24_a_reader_that_leaves_gets_no_traceback():
    with command(str(EXAMPLES / "mnist_mlp.toml")) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


def test_fault_23_ctrl_c_finishes_the_step_saves_and_exits_130(tmp_path):
    process = command("train", str(EXAMPLES / "mnist_mlp.toml"), "--epochs", "100000", "--json", cwd=tmp_path)
    run = tmp_path / "runs" / "mnist_mlp-1"
    deadline = time.monotonic() + 60
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch") or time.monotonic() > deadline:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["status"] == "interrupted"
    assert (run / "parameters.safetensors").exists()


def test_fault_29_resume_from_the_command_line(derive, tmp_path):
    process = command(
        "train", OR, "--epochs", "30000", "--seed", "5", "--checkpoint-every", "50", cwd=tmp_path
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/or_gate-1/checkpoints/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert "not empty" in derive("train", OR, "--run-dir", "runs/or_gate-1")[2]
    code, _, err = derive("train", OR, "--resume", "--seed", "6")
    assert code == 2 and "settings.seed is 5, here 6" in err
    (tmp_path / "other.toml").write_text((EXAMPLES / "or.toml").read_text().replace("[-0.99]", "[-0.98]"))
    code, _, err = derive("train", "other.toml", "--resume", "runs/or_gate-1")
    assert code == 2 and "another spec: layers[0].biases[0] is -0.99, here -0.98;" in err
    code, out, err = derive("train", OR, "--resume", "--json")
    assert code == 0, err
    resumed = json.loads(out)
    assert code == 0 and resumed["run"] == "runs/or_gate-1" and resumed["settings"]["seed"] == 5
    whole = json.loads(derive("train", OR, "--epochs", "30000", "--seed", "5", "--json")[1])
    for name in ("parameters.safetensors", "curves.svg"):
        assert (tmp_path / resumed["run"] / name).read_bytes() == (
            tmp_path / whole["run"] / name
        ).read_bytes()


@pytest.mark.parametrize("where", ["nowhere", "runs"])
def test_resume_of_no_run_exits_2(derive, tmp_path, where):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "file").write_text("")
    code, out, err = derive("train", OR, "--resume", where)
    assert (code, out) == (2, "") and where in err
    code, _, err = derive("train", OR, "--resume")
    assert code == 2 and "or_gate-1" in err
