"""What a kernel's arguments are called in the program that launches it, and whose memory they have."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.codegen.ir.verify import VerificationError
from chainrule.codegen.targets.cuda.plan import Buffer, Launch, Plan

STEP = ("forward", "evaluation", "loss", "backward", "statistics")
SECTIONS = (*STEP, "input_gradient", "update")
NAMES = {  # what the function of a section is given, beside what it turns out to need
    "forward": ("p", "x", "w"),
    "evaluation": ("p", "x", "w"),
    "loss": ("p", "t", "w"),
    "backward": ("p", "x", "t", "w", "g"),
    "statistics": ("p", "x", "w"),
    "input_gradient": ("p", "x", "t", "w", "g"),
}
ORDER = ("p", "x", "t", "w", "g", "seed")


class Arguments:
    """The names of a plan's buffers in each function, and where the local ones are kept."""

    def __init__(self, plan: Plan, scheduled: bool) -> None:
        self.plan = plan
        self.scheduled = scheduled
        self.used = {name: self._used(name) for name in SECTIONS}
        step = set().union(*(self.used[name] for name in STEP)) | {plan.output, plan.loss}
        self.places = {
            "step": self._locals(step),
            "input_gradient": self._locals(self.used["input_gradient"] | {plan.input_gradient}),
            "update": self._locals(self.used["update"]) - ({"eta"} if scheduled else set()),
        }
        self.places["input_gradient"] -= self.places["step"]
        shared = self.places["update"] & (self.places["step"] | self.places["input_gradient"])
        if shared or any("N" in plan.buffers[name].shape for name in self.places["update"]):
            raise VerificationError(f"the update takes memory of a batch: {', '.join(sorted(shared))}")
        self.draws = [each for each in self._launches("forward") if self._only_draws(each)]
        drawn = dict.fromkeys(name for launch in self.draws for name in launch.arguments)
        self.masks = [plan.buffers[n] for n in drawn if n != "N" and plan.buffers[n].kind == "local"]

    def takes(self, section: str) -> str:
        """Return the arguments of a section's function."""
        needed = {self.text(section, name).split(".")[0].split("[")[0] for name in self.used[section]}
        return ", ".join(n for n in ORDER if n in NAMES[section] or n in needed)

    @property
    def seeded(self) -> bool:
        """Whether a step draws random numbers."""
        return any("seed" in self.used[name] for name in SECTIONS)

    def memory(self, place: str) -> list[Buffer]:
        """Return the buffers that are kept in a place, each after the one whose memory it takes over."""
        found: dict[str, Buffer] = {}

        def add(name: str) -> None:
            buffer = self.plan.buffers[name]
            if buffer.slot in self.places[place]:
                add(buffer.slot)
            found[name] = buffer

        for name in self.plan.buffers:
            if name in self.places[place]:
                add(name)
        return list(found.values())

    def result(self, value: str, shape: tuple[int, ...] = (), name: str = "") -> str:
        """Return what the functions of a step call a buffer; of samples, in that shape, which has a name."""
        text = self.text("backward", value)
        whole = not shape or self.plan.buffers[value].shape == ("N", *shape)
        return text if whole else f"{text}.reshape(w.N, *{name})"

    def text(self, section: str, value: str) -> str:
        """Return what the function of a section calls an argument."""
        if value == "N":
            return "n"
        buffer = self._shown(self.plan.buffers[value])
        name = buffer.name
        if section == "update":
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
            return f"w.{self.text('backward', value)}"
        own = buffer.kind == "local" and value in self.places["step"]
        other = buffer.kind in ("input", "target", "parameter", "statistic") or buffer.name == "seed"
        return self.text("backward" if own or other else "update", value)

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

    def _launches(self, section: str) -> tuple[Launch, ...]:
        return self.plan.launches.get(section, ())

    def _used(self, section: str) -> set[str]:
        return {name for launch in self._launches(section) for name in launch.arguments} - {"N"}

    def _only_draws(self, launch: Launch) -> bool:
        """Whether a kernel makes nothing but random truth values."""
        kinds = [(b.kind, b.element) for b in self._buffers(launch) if b.name != "seed"]
        return "seed" in launch.arguments and set(kinds) == {("local", "unsigned char")}

    def _buffers(self, launch: Launch) -> Iterator[Buffer]:
        return (self.plan.buffers[name] for name in launch.arguments if name != "N")
