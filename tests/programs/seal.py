"""Writes the manifests of the hand-written test programs: `python tests/programs/seal.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

HERE = Path(__file__).parent
XOR = {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [[0], [1], [1], [0]]}
REGRESSION = {
    "inputs": [[(i * j) % 5 / 5 for j in range(1, 9)] for i in range(20)],
    "targets": [[i / 20, 1 - i / 20, i % 2, 0.5] for i in range(20)],
}
# name: input, output, target kind, classification, loss, data, batch size, epochs
PROGRAMS = {
    "digits_mlp": ([784], [10], "labels", True, "cross_entropy", "mean", "mnist", 32, 3),
    "xor": ([2], [1], "values", True, "mse", "sum", XOR, 4, 20000),
    "relu_mlp": ([8], [4], "values", False, "mse", "mean", REGRESSION, 8, 5),
}


def main() -> None:
    """Writes one manifest beside each program."""
    for name, (inputs, outputs, kind, classes, loss, reduction, data, batch, epochs) in PROGRAMS.items():
        path = HERE / name / "numpy_trainer.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        manifest = {
            "format": 1,
            "name": name,
            "description": "",
            "spec": {"file": f"{name}.toml", "sha256": hashlib.sha256(name.encode()).hexdigest()},
            "targets": {"numpy": path.name},
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()},
            "input": {"shape": inputs},
            "output": {"shape": outputs},
            "target": {"kind": kind},
            "classification": classes,
            "parameters": [
                {"name": key, "shape": list(shape), "role": "weight" if len(shape) == 2 else "bias"}
                for key, shape in module.PARAMETERS.items()
            ],
            "loss": {"type": loss, "reduction": reduction},
            "optimizer": {"type": "sgd"},
            "training": {
                "data": data,
                "batch_size": batch,
                "epochs": epochs,
                "seed": 0,
                "validation_split": 0.1 if data == "mnist" else 0.0,
            },
            "equations": [],
        }
        (path.parent / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
