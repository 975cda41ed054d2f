"""``python -m chainrule`` is the command ``derive``."""

from chainrule.cli.main import main

main()
