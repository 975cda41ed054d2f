#!/usr/bin/env bash
# Sphinx 9.0.4: html_css_files and html_js_files that name no file pass `sphinx-build -W -n`; every page links to them.
#
# A logo that is missing is a warning, and so an error with -W.  A stylesheet or script that is missing, misspelt or never
# added to html_static_path is neither: its <link> is written, only without the ?v= checksum that files which exist get.
# linkcheck does not see it either, for it checks the links of the documents, not those of the theme's frame.
#
# What follows: look through a built page for src= and href= in _static/ that name no file, or, shorter, have no "?v=".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sphinx==9.0.4
mkdir -p "$folder/docs/_static"
cd "$folder"
cat > docs/conf.py <<'PYTHON'
project = "Box"
html_static_path = ["_static"]
html_css_files = ["there.css", "missing.css"]
html_js_files = ["missing.js"]
PYTHON
echo "p { margin: 0 }" > docs/_static/there.css
printf 'Home\n====\n' > docs/index.rst
for builder in linkcheck html; do
    venv/bin/sphinx-build -W -n -q -b "$builder" docs site > out 2>&1
    echo "$builder: exit 0, output '$(cat out)'"
    [ ! -s out ]
done
grep -o '[a-z]*="_static/\(there\|missing\)[^"]*"' site/index.html
grep -q '"_static/there.css?v=' site/index.html
grep -q '"_static/missing.css"' site/index.html
grep -q '"_static/missing.js"' site/index.html
[ ! -e site/_static/missing.css ] && [ ! -e site/_static/missing.js ]
echo 'html_logo = "missing.svg"' >> docs/conf.py
if venv/bin/sphinx-build -W -n -q docs site > out 2>&1; then exit 1; fi
head -1 out
grep -q "missing.svg' does not exist" out
