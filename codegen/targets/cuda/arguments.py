"""What a kernel's arguments are called in the program that launches it, and whose memory they have."""

from __future__ import annotations

from collections.abc import Iterator, Set

from chainrule.codegen.ir.section import IN_WORKSPACE, Section
from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Plan

NAMES = {  # what the function of a section is given, beside what it turns out to need
    Section.FORWARD: ("p", "x", "w"),
    Section.EVALUATION: ("p", "x", "w"),
    Section.LOSS: ("p", "t", "w"),
    Section.BACKWARD: ("p", "x", "t", "w", "g"),
    Section.STATISTICS: ("p", "x", "w"),
    Section.INPUT_GRADIENT: ("p", "x", "t", "w", "g"),
}
ORDER = ("p", "x", "t", "w", "g", "seed")


class Arguments:
    """The names of a plan's buffers in each function.

    Local ones are kept in the memory of a ``step``, of the ``update``, or of the input's gradient alone
    (``only_input``).
    """

    def __init__(self, plan: Plan, scheduled: bool) -> None:
        self.plan = plan
        self.scheduled = scheduled
        self.used = {name: self._used(name) for name in Section}
        used = set().union(*(self.used[name] for name in IN_WORKSPACE))
        for_input = self.used[Section.INPUT_GRADIENT] | {plan.input_gradient}
        self.step = self._locals(used | {plan.output, plan.loss})
        self.only_input = self._locals(for_input) - self.step
        self.update = self._locals(self.used[Section.UPDATE]) - ({"eta"} if scheduled else set())
        shared = self.update & (self.step | self.only_input)
        if shared or any("N" in plan.buffers[name].shape for name in self.update):
            raise VerificationError(f"the update takes memory of a batch: {', '.join(sorted(shared))}")
        self.draws = [each for each in self._launches(Section.FORWARD) if self._only_draws(each)]
        drawn = dict.fromkeys(name for launch in self.draws for name in launch.arguments)
        self.masks = [plan.buffers[n] for n in drawn if n != "N" and plan.buffers[n].kind == "local"]

    def takes(self, section: Section) -> str:
        """Return the arguments of a section's function."""
        needed = {self.text(section, name).split(".")[0].split("[")[0] for name in self.used[section]}
        return ", ".join(n for n in ORDER if n in NAMES[section] or n in needed)

    @property
    def seeded(self) -> bool:
        """Whether a step draws random numbers."""
        return any("seed" in self.used[name] for name in Section)

    def memory(self, names: Set[str]) -> list[Buffer]:
        """Return the buffers of these names, each after the one whose memory it takes over."""
        found: dict[str, Buffer] = {}

        def add(name: str) -> None:
            buffer = self.plan.buffers[name]
            if buffer.slot in names:
                add(buffer.slot)
            found[name] = buffer

        for name in self.plan.buffers:
            if name in names:
                add(name)
        return list(found.values())

    def result(self, value: str, shape: tuple[int, ...] = (), name: str = "") -> str:
        """Return what the functions of a step call a buffer; of samples, in that shape, which has a name."""
        text = self.text(Section.BACKWARD, value)
        whole = not shape or self.plan.buffers[value].shape == ("N", *shape)
        return text if whole else f"{text}.reshape(w.N, *{name})"

    def text(self, section: Section, value: str) -> str:
        """Return what the function of a section calls an argument."""
        if value == "N":
            return "n"
        buffer = self._shown(self.plan.buffers[value])
        name = buffer.name
        if section == Section.UPDATE:
            return self._of_update(buffer)
        match buffer.kind:
            case "input" | "target":
                return "x" if buffer.kind == "input" else "t"
            case "scalar" if name == "seed":
                return name
            case "parameter" | "statistic":
                return f'p["{name}"]'
            case "gradient":
                return f'g["{buffer.of}"]'
            case "local":
                return f"w.{buffer.identifier}"
        raise VerificationError(f"{value}: a {buffer.kind} is no matter of the {section} section")

    def of_training(self, value: str) -> str:
        """Return what names a buffer's memory during training, whichever section it belongs to."""
        buffer = self._shown(self.plan.buffers[value])
        flat = {"theta": "training.theta", "g": "w.gradient"}
        if buffer.name in flat:
            return flat[buffer.name]
        if buffer.kind == "gradient":
            return f"w.{self.text(Section.BACKWARD, value)}"
        own = buffer.kind == "local" and value in self.step
        other = buffer.kind in ("input", "target", "parameter", "statistic") or buffer.name == "seed"
        return self.text(Section.BACKWARD if own or other else Section.UPDATE, value)

    def _of_update(self, buffer: Buffer) -> str:
        name = buffer.name
        if name in ("theta", "g"):
            return name
        if buffer.kind == "state" or (buffer.kind == "scalar" and name != "seed"):
            return f'state["{name}"]'
        if buffer.kind == "local":
            return 'state["learning_rate"]' if name == "eta" and self.scheduled else f"w.{buffer.identifier}"
        raise VerificationError(f"{name}: an update is one of all parameters together")

    def _shown(self, buffer: Buffer) -> Buffer:
        """Return the buffer itself, or, where it has the memory of what a caller gives, that."""
        root = buffer
        while root.slot:
            root = self.plan.buffers[root.slot]
        return buffer if root.kind == "local" else root

    def _locals(self, names: set[str]) -> set[str]:
        """Return what of these must be allocated, with that whose memory they take over."""
        found: set[str] = set()
        for name in sorted(names):
            buffer = self.plan.buffers[name]
            if self._shown(buffer).kind != "local":
                continue
            found.add(name)
            while buffer.slot:
                buffer = self.plan.buffers[buffer.slot]
                found.add(buffer.name)
        return found

    def _launches(self, section: Section) -> tuple[Launch, ...]:
        return self.plan.launches.get(section, ())

    def _used(self, section: Section) -> set[str]:
        return {name for launch in self._launches(section) for name in launch.arguments} - {"N"}

    def _only_draws(self, launch: Launch) -> bool:
        """Whether a kernel makes nothing but random truth values."""
        kinds = [(b.kind, b.element) for b in self._buffers(launch) if b.name != "seed"]
        return "seed" in launch.arguments and set(kinds) == {("local", "unsigned char")}

    def _buffers(self, launch: Launch) -> Iterator[Buffer]:
        return (self.plan.buffers[name] for name in launch.arguments if name != "N")
