#!/usr/bin/env bash
# Click 8.5.1 answers a reader that is gone with exit code 1, in silence.
#
# A command whose output goes to a pipe that nobody reads any more (`command | head -1`) gets BrokenPipeError.  Click's
# main catches it, puts wrappers around sys.stdout and sys.stderr that swallow it when they are flushed, and raises
# SystemExit(1): nothing is printed, and the code is that of a ClickException, no traceback, nor 128 + SIGPIPE = 141 as the
# shell's own tools have it.  standalone_mode=False, which hands every other exception to the caller, makes no difference:
# `except BrokenPipeError` around main never sees it.
#
# What follows for a tool whose exit codes mean something: catch BrokenPipeError inside of the commands, or call
# command.invoke on a context instead of command.main.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check click==8.5.1
cat > "$folder/lines.py" <<'PYTHON'
import os
import sys

import click


@click.command()
def lines():
    for number in range(100_000):
        click.echo(number)


how = sys.argv.pop()
try:
    if how == "main":
        lines.main(standalone_mode=False)
    elif how == "invoke":
        with lines.make_context("lines", []) as context:
            lines.invoke(context)
    else:
        lines()
except BrokenPipeError:
    os.write(2, b"BrokenPipeError")
    os._exit(3)
PYTHON
run() {
    set +e
    "$folder/venv/bin/python" "$folder/lines.py" "$1" 2> "$folder/err" | head -1 > "$folder/out"
    code=${PIPESTATUS[0]}
    set -e
}
for how in standalone main; do
    run "$how"
    echo "$how: exit $code, stderr '$(cat "$folder/err")'"
    [ "$code" = 1 ] && [ ! -s "$folder/err" ] && [ "$(cat "$folder/out")" = 0 ]
done
run invoke
echo "invoke: exit $code, stderr '$(cat "$folder/err")'"
[ "$code" = 3 ] && [ "$(cat "$folder/err")" = BrokenPipeError ]
