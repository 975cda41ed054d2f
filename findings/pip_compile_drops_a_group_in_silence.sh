#!/usr/bin/env bash
# pip-tools 7.6.2: pip-compile --pip-args "--group test" takes the group of dependencies (PEP 735), and locks nothing of it.
#
# pip-compile itself knows no --group ("No such option"), whereas pip, which it drives, has it since 25.1, and --pip-args is
# for the options of pip.  That is accepted: exit 0, and the option stands in the header of the file as if it had been
# heeded.  The file holds no requirement.  --extra=test, whose name no extra has, gives such an empty file too.
#
# What follows: `pip lock --group test` or `uv pip compile --group test`; and whoever locks checks that the file names a
# package.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pip==26.3 pip-tools==7.6.2
cd "$folder"
cat > pyproject.toml <<'TOML'
[project]
name = "box"
version = "1"

[dependency-groups]
test = ["iniconfig==2.3.1"]
TOML
compile() {
    rm -f locked.txt
    venv/bin/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --output-file locked.txt \
        "$@" pyproject.toml
}
if compile --group test 2> err; then exit 1; fi
tail -1 err
grep -q "No such option" err
for how in "--pip-args=--group test" "--extra=test"; do
    compile "$how" 2> err
    echo "pip-compile $how: exit 0, $(grep -c iniconfig locked.txt || true) requirement, stderr '$(cat err)'"
    [ ! -s err ]
    if grep -q iniconfig locked.txt; then exit 1; fi
done
compile "--pip-args=--group test"
grep -- --group locked.txt
venv/bin/pip lock --quiet --group test --output pylock.toml 2> err
echo "pip lock --group test: $(grep -c 'name = "iniconfig"' pylock.toml) package"
