#!/usr/bin/env bash
# setuptools 84.2.1: `pip wheel .` and `python -m build --wheel` pack modules that were deleted since the last build.
#
# Both build in the source tree (pip since 21.3), and the wheel is made of build/lib, where the build before left its copy of
# every module: copied over, never cleared.  Build isolation is about the packages that build, not about the tree.  A module
# that was renamed or deleted is in the next wheel, importable for users and for nobody who works in the tree; git says
# nothing, as build/ is in most .gitignore files.  `python -m build` without --wheel is right: it unpacks its sdist elsewhere.
#
# What follows: `python -m build`, which makes the wheel from the sdist, or delete build/ before a build.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check setuptools==84.2.1 build==1.6.1 pip==26.3
wheel_by_pip() {
    "$folder/venv/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
}
wheel_by_build() {
    "$folder/venv/bin/python" -m build --no-isolation --wheel > log 2>&1
}
wheel_by_sdist() {
    "$folder/venv/bin/python" -m build --no-isolation > log 2>&1
}
for how in wheel_by_pip wheel_by_build wheel_by_sdist; do
    mkdir -p "$folder/$how/box"
    cd "$folder/$how"
    cat > pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "box"
version = "1"
TOML
    touch box/__init__.py box/deleted.py
    "$how"
    rm -r box/deleted.py dist
    "$how"
    found=$(python3 -m zipfile --list dist/*.whl | grep -c deleted || true)
    echo "$how: $found deleted module in the wheel"
    if [ "$how" = wheel_by_sdist ]; then [ "$found" = 0 ]; else [ "$found" = 1 ]; fi
done
