#!/usr/bin/env bash
# pytest 9.2.0 with Hypothesis 6.170.17: an empty test has more than 70 modules parsed, rewritten and compiled, none of them
# a test; with PYTHONDONTWRITEBYTECODE=1, as images of containers often set it, that is done again in every run.
#
# Assertions are rewritten in tests, in conftest.py and in plugins.  A plugin is here all that its distribution holds: the
# entry point is one small module of Hypothesis, and the whole library behind it goes through the rewriting hook, which
# takes no notice of the .pyc files that pip made at installation and keeps its own, *-pytest-9.2.0.pyc.  Where no .pyc may
# be written there are none, and nothing tells.  The plugin imports the library at the end even if no test uses it;
# `-p no:hypothesispytest` does not stop the rewriting once a test imports it, for the hook goes by what is installed.
#
# What follows: let pytest write its .pyc files (env -u PYTHONDONTWRITEBYTECODE), or, where plain asserts are enough,
# --assert=plain; to measure a suite's start, first look which of the two it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
env -u PYTHONDONTWRITEBYTECODE "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --compile \
    pytest==9.2.0 hypothesis==6.170.17
mkdir "$folder/tests"
cd "$folder/tests"
cat > conftest.py <<'PYTHON'
import sys

from _pytest.assertion.rewrite import AssertionRewritingHook


def pytest_unconfigure():
    loaders = {name: getattr(module, "__loader__", None) for name, module in sys.modules.items()}
    print("rewritten:", sum(isinstance(of, AssertionRewritingHook) and "hypothesis" in name for name, of in loaders.items()))
PYTHON
echo "def test_nothing(): pass" > test_nothing.py
echo "import hypothesis
def test_nothing(): pass" > test_import.py
rewritten() {
    "$folder/venv/bin/python" -m pytest --quiet -p no:cacheprovider "$@" | sed -n 's/^rewritten: //p'
}
kept() {
    find "$folder/venv" -name '*-pytest-9.2.0.pyc' | wc -l
}
export PYTHONDONTWRITEBYTECODE=1
for run in first second; do
    count=$(rewritten test_nothing.py)
    echo "$run run of an empty test: $count modules of Hypothesis rewritten, $(kept) kept"
    [ "$count" -gt 70 ] && [ "$(kept)" = 0 ]
done
count=$(rewritten -p no:hypothesispytest test_import.py)
echo "an import, without the plugin: $count rewritten"
[ "$count" -gt 70 ]
count=$(rewritten --assert=plain test_import.py)
echo "an import, --assert=plain: $count rewritten"
[ "$count" = 0 ]
unset PYTHONDONTWRITEBYTECODE
count=$(rewritten test_nothing.py)
echo "where .pyc files may be written: $count rewritten, $(kept) kept for the next run"
[ "$count" -gt 70 ] && [ "$(kept)" -gt 70 ]
