"""What is installed: one package, every file of it, beside whatever else has our folders' names."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tracked_files import PACKAGES, ROOT, texts, tracked

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
PYTHONS = [
    found[1] for line in PROJECT["classifiers"] if (found := re.fullmatch(r".* :: Python :: (3\.\d+)", line))
]

# ---- Names ---------------------------------------------------------------------------------------


def modules_of(folder: str) -> set[str]:
    """The package of a folder and its subpackages, as they are installed."""
    inside = {path.relative_to(ROOT).parent.as_posix() for path in tracked(f"{folder}/*.py")}
    names = {name.replace("/", ".") for name in inside}
    return names if folder == "chainrule" else {f"chainrule.{name}" for name in names}


def test_every_folder_with_code_is_a_package_in_pyproject() -> None:
    found = set().union(*map(modules_of, PACKAGES))
    assert found - set(SETUPTOOLS["packages"]) == set(), "add it to [tool.setuptools] packages"
    assert set(SETUPTOOLS["packages"]) - found == set(), "no such folder"


def test_the_folders_are_listed_alike_wherever_they_are_listed() -> None:
    assert SETUPTOOLS["package-dir"] == {
        name if name == "chainrule" else f"chainrule.{name}": name for name in PACKAGES
    }
    linked = re.search(r"for part in (.*?); do", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert linked and {"chainrule", *linked[1].split()} == set(PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the source distribution of what is tracked."""
    top = tmp_path_factory.mktemp("dist")
    source = top / "source"
    for path in tracked(*PACKAGES, "pyproject.toml", "LICENSE", "README.md"):
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    built(source, f"build_sdist({str(top)!r})")
    (archive,) = top.glob("chainrule-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(top, filter="data")
    built(top / archive.name.removesuffix(".tar.gz"), f"build_wheel({str(top)!r})")
    (found,) = top.glob("chainrule-*.whl")
    return found


def built(source: Path, what: str) -> None:
    """Call a hook of the build backend, as pip does."""
    command = [sys.executable, "-c", f"from setuptools import build_meta; build_meta.{what}"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Data files (templates, embedded digits, py.typed) are installed with the code that reads them."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith("chainrule-")}
    names = [path.relative_to(ROOT).as_posix() for path in tracked(*PACKAGES)]
    assert packed == {name if name.startswith("chainrule/") else f"chainrule/{name}" for name in names}


def test_chainrule_is_the_one_name_that_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (listed,) = [name for name in archive.namelist() if name.endswith("/top_level.txt")]
        assert archive.read(listed).decode().split() == ["chainrule"]
        (scripts,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert archive.read(scripts).decode().split("\n")[1:2] == ["derive = chainrule.cli.main:main"]


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_packages_with_the_names_of_our_folders_work_beside_it(
    wheel: Path, tmp_path: Path, first: str
) -> None:
    """`make coexist` does the same with packages of the index."""
    strangers = [name for name in PACKAGES if name != "chainrule"]

    def ours() -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)  # noqa: S202 - built above

    def theirs() -> None:
        for name in strangers:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text(f'OWNER = "somebody else\'s {name}"\n')

    for install in (ours, theirs) if first == "ours" else (theirs, ours):
        install()
    code = (
        f"import {', '.join(strangers)}\n"
        f"assert all(m.OWNER.startswith('somebody') for m in ({', '.join(strangers)}))\n"
        "import runpy, sys\n"
        "sys.argv = ['derive', 'list']\n"
        "runpy.run_module('chainrule', run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "softmax-cross-entropy" in done.stdout
    assert "\nspecs:" in done.stdout


# ---- Dependencies ----------------------------------------------------------------------------------

DISTRIBUTION = {"PIL": "pillow"}  # import name: distribution, where they differ


def third_party(source: str) -> set[str]:
    """The distributions that a module of ours imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name.split(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                names.add(module.split(".")[0])
    return {DISTRIBUTION.get(name, name) for name in names - sys.stdlib_module_names - {"chainrule"}}


def names_of(requirements: list[str]) -> set[str]:
    return {Requirement(each).name for each in requirements}


def test_every_import_is_a_declared_dependency_and_the_other_way_round() -> None:
    used = set().union(*(third_party(text) for _, text in texts(*(f"{p}/**.py" for p in PACKAGES))))
    needed = names_of(PROJECT["dependencies"])
    optional = {"cupy", "torch", "jax"}
    assert {name.lower() for name in used} - needed - optional == set(), "imported, not declared"
    assert needed - {name.lower() for name in used} == set(), "declared, not imported"


def group(name: str) -> list[str]:
    """The requirements of a dependency group, those of the groups that it includes among them."""
    parts = [group(each["include-group"]) if isinstance(each, dict) else [each] for each in GROUPS[name]]
    return [requirement for part in parts for requirement in part]


def test_groups_are_for_whoever_works_on_the_project_and_extras_for_users() -> None:
    assert set(PROJECT["optional-dependencies"]) == {"c", "cuda12", "cuda13", "torch", "jax", "notebook"}
    assert not set(PROJECT["optional-dependencies"]) & set(GROUPS)
    assert group("build") == PYPROJECT["build-system"]["requires"]
    assert {*group("test"), *group("lint")} <= set(group("dev"))


# ---- Pins ------------------------------------------------------------------------------------------

PINNED = re.compile(r"[a-z0-9.-]+==\S+( ; [^\\\n]+)? \\\n    --hash=sha256:[0-9a-f]{64}")
LOCKED = [path.name for path in tracked("requirements/*.txt")]


def entries(name: str) -> list[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]


def pins(name: str, python: str) -> dict[str, str]:
    """The version of each package that a file names for a Python on Linux; no package has two."""
    where = default_environment() | {"python_version": python, "python_full_version": f"{python}.0"}
    where |= {"sys_platform": "linux", "platform_machine": "x86_64", "implementation_name": "cpython"}
    read = [Requirement(entry.partition("\\")[0]) for entry in entries(name)]
    taken = [each for each in read if each.marker is None or each.marker.evaluate(where)]
    found = {each.name: str(each.specifier).removeprefix("==") for each in taken}
    assert len(found) == len(taken), f"{name} has two versions of a package for Python {python}"
    return found


@pytest.mark.parametrize("name", LOCKED)
def test_requirements_are_pinned_with_hashes(name: str) -> None:
    found = entries(name)
    assert len(found) > 10
    assert [entry.split()[0] for entry in found if not PINNED.match(entry)] == []
    assert not any(entry.startswith("torch==") for entry in found)


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_of_the_metadata_has_one_pin_of_each_dependency(python: str) -> None:
    assert Version(f"{python}.0") in SpecifierSet(PROJECT["requires-python"])
    run, test = pins("run.txt", python), pins("test.txt", python)
    assert run.items() <= test.items()
    for declared, pinned in ((PROJECT["dependencies"] + group("build"), run), (group("test"), test)):
        asked = [Requirement(each) for each in declared]
        assert [each.name for each in asked if pinned.get(each.name, "0") not in each.specifier] == []


def test_the_oldest_python_is_the_one_that_requirements_are_made_for() -> None:
    lock = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert f"--python-version {PYTHONS[0]} " in lock
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{PYTHONS[0].replace('.', '')}"
    assert PYPROJECT["tool"]["mypy"]["python_version"] == PYTHONS[0]
