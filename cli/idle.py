"""What an option asks for and a page does not have: said in one line each, with what is shown instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chainrule.derive.reader import reader

if TYPE_CHECKING:
    from chainrule.present.page import Page


def idle(page: Page, title: str, form: str, topic: bool) -> Iterator[str]:
    """Yield a sentence for every option that changes nothing of a page; ``title`` is what it is about."""
    from chainrule.present.letters import staying
    from chainrule.present.page import nodes
    from chainrule.present.tree import Ref

    who = reader()
    if topic and form != "index":
        yield f"--form {form}: {title} has no matrix form; its lines are as the blackboard has them."
    if who.batch != "example" and (topic or form == "index"):
        why = f"{title} has no matrix form" if topic else "it is for matrix equations, --form matrix or both"
        yield f"--batch {who.batch} changes nothing here: {why}."
    elif who.batch != "example" and not any(isinstance(n, Ref) and n.matrix for n in nodes(page)):
        yield f"--batch {who.batch}: no equation of {title} is a product of matrices; each is of one example."
    if who.notation != "common":
        kept = staying(page)
        if kept:
            letters = ", ".join(f"{old} (there {new})" for old, new in kept.items())
            yield f"--notation {who.notation}: on the page of {title} these letters stay: {letters}."
        elif not page.letters:
            yield f"--notation {who.notation}: {title} has no letter that it would change."
