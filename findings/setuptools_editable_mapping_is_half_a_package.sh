#!/usr/bin/env bash
# setuptools 84.2.1: a subpackage mapped to a folder elsewhere ("box.parts" = "parts") imports from an editable install, and
# pkgutil.walk_packages finds nothing; editable_mode=compat takes the import away as well, without a word.
#
# By default (lenient) an editable install of such a tree is a finder that knows each mapped name.  Imports, and
# importlib.resources.files("box.parts"), are right.  But box.__path__ is the one folder box/, so that all that looks through
# folders sees half a package, in silence: walk_packages is empty, before the import and after, a test "for every module of
# the package" passes with no module tested, and files("box") / "parts" is no directory.  mypy 2.4.1 runs no finder and
# misses all of box.  The usual advice against that, editable_mode=compat, puts the folder of the project on sys.path, where
# there is no box/parts: the installation succeeds and import box.parts raises ModuleNotFoundError.
#
# What follows: editable_mode=strict, a tree of links in build/, for which all of it is right (new files need a new
# installation), or subpackages that lie in their package; and a test over walk_packages asserts first that it found any.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tree/box" "$folder/tree/parts"
cd "$folder/tree"
cat > pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "box"
version = "1"

[tool.setuptools]
packages = ["box", "box.parts"]
package-dir = { box = "box", "box.parts" = "parts" }
TOML
touch box/__init__.py box/py.typed parts/__init__.py parts/small.py
cat > "$folder/look.py" <<'PYTHON'
import pkgutil
from importlib.resources import files

import box

found = [module.name for module in pkgutil.walk_packages(box.__path__, "box.")]
try:
    import box.parts.small
except ModuleNotFoundError as error:
    print(f"walk_packages: {found}; {error}")
else:
    assert found == [module.name for module in pkgutil.walk_packages(box.__path__, "box.")]
    assert (files("box.parts") / "small.py").is_file()
    print(f"walk_packages: {found}; import: yes; files: {(files('box') / 'parts').is_dir()}")
PYTHON
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pip==26.3 setuptools==84.2.1 mypy==2.4.1
cd "$folder"
look() {
    "$folder/venv/bin/pip" uninstall --quiet --yes box 2> log
    rm -rf tree/build tree/box.egg-info
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation "$@" "$folder/tree" > log 2>&1
    found=$("$folder/venv/bin/python" -I look.py)
    missed=$("$folder/venv/bin/mypy" -c "import box.parts" --no-incremental | sed -n 's/.*named "\(.*\)" .*/\1/p' || true)
    found="$found; mypy misses: $(echo ${missed:-none})"
    echo "installed ${*:-as a wheel}: $found"
}
look
[ "$found" = "walk_packages: ['box.parts', 'box.parts.small']; import: yes; files: True; mypy misses: none" ]
look --editable
[ "$found" = "walk_packages: []; import: yes; files: False; mypy misses: box.parts box" ]
look --config-settings editable_mode=compat --editable
[ "$found" = "walk_packages: []; No module named 'box.parts'; mypy misses: box.parts" ]
look --config-settings editable_mode=strict --editable
[ "$found" = "walk_packages: ['box.parts', 'box.parts.small']; import: yes; files: True; mypy misses: none" ]
