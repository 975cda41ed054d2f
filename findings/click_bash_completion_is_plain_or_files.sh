#!/usr/bin/env bash
# Click 8.5.1: in bash, a completion of type "file" (or "dir") throws away the plain completions named before it.
#
# A parameter's shell_complete returns a list of CompletionItem, and a value that is a known name or a file suggests both:
# [CompletionItem("mlp"), CompletionItem(incomplete, type="file")].  In zsh both are offered.  The script for bash, which
# Click writes, empties COMPREPLY at every such item and leaves files to the shell: the names are gone.  In the other order
# the names stay, and the shell, which completes files only where COMPREPLY is empty (compopt -o default), shows no file.
# A test of shell_complete, or of the lines that the program prints for the shell, sees nothing of it: all items are there.
#
# What follows: return plain items while any name begins with what was typed, and the one "file" item only when none does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check click==8.5.1
cat > "$folder/tool" <<PYTHON
#!$folder/venv/bin/python
import os

import click
from click.shell_completion import CompletionItem


class NameOrFile(click.ParamType):
    name = "spec"

    def shell_complete(self, ctx, param, incomplete):
        names, files = [CompletionItem("mlp"), CompletionItem("cnn")], [CompletionItem(incomplete, type="file")]
        return names + files if os.environ["ORDER"] == "files last" else files + names


@click.command()
@click.argument("spec", type=NameOrFile())
def tool(spec):
    pass


tool(prog_name="tool")
PYTHON
chmod +x "$folder/tool"
export ORDER="files last"
compopt() { asked=$2; } # outside of a completion the builtin has nothing to set
source <(_TOOL_COMPLETE=bash_source "$folder/tool")
COMP_WORDS=(tool "") COMP_CWORD=1
for ORDER in "files last" "files first"; do
    echo "$ORDER: the program prints" $(COMP_WORDS="tool " COMP_CWORD=1 _TOOL_COMPLETE=bash_complete "$folder/tool")
    COMPREPLY=() asked=
    _tool_completion "$folder/tool"
    echo "$ORDER: bash is left with (${COMPREPLY[*]}), compopt -o $asked"
    if [ "$ORDER" = "files last" ]; then [ ${#COMPREPLY[@]} = 0 ]; else [ "${COMPREPLY[*]}" = "mlp cnn" ]; fi
    [ "$asked" = default ]
done
