"""``derive`` itself: commands, and beside them a topic or a spec that stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHOW = "show"  # the command that a topic or a spec alone stands for
USAGE = "TOPIC | SPEC [OPTIONS]"
WHOLE = 1000  # characters: no sentence about a command is cut


class Unnamed(click.Context):
    """What a command that needs no name is called by: its group's name."""

    @property
    def command_path(self) -> str:
        return self.parent.command_path if self.parent else super().command_path


class Showing(click.Command):
    """The command that needs no name: its usage is that of ``derive``."""

    context_class = Unnamed

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("derive", USAGE)


class DefaultGroup(click.Group):
    """A group whose first argument may also be a topic or a spec: ``derive softmax``, ``derive net.toml``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in _options(self, ctx):
            if not ctx.resilient_parsing:
                self._require_subject(ctx, args)
            args = [SHOW, *args]
        return super().parse_args(ctx, args)

    def _require_subject(self, ctx: click.Context, args: list[str]) -> None:
        """Raise click.UsageError where arguments are neither a subject nor an option of showing one."""
        first, *rest = args
        if first == "--":
            return
        if first.startswith("-") and first != "-":
            option = first.split("=")[0] if first.startswith("--") else first[:2]
            known = [*_options(self.commands[SHOW], ctx), *_options(self, ctx)]
            if option not in known:
                raise click.NoSuchOption(option, possibilities=known, ctx=ctx)
            return
        from chainrule.cli.naming import close, did_you_mean, require_subject

        if rest and not rest[0].startswith("-"):
            near = did_you_mean(close(first, {name: name for name in self.commands})[:1])
            raise click.UsageError(
                f"{first!r} is no command.{near or ' A topic or a spec stands alone.'}", ctx
            )
        with ctx:
            require_subject(first)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("derive", USAGE)
        formatter.write_usage("derive", "COMMAND [ARGUMENTS] [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of a topic or a spec, the commands, and last the options of the group."""
        show = self.commands[SHOW]
        shown = (parameter for parameter in show.params if isinstance(parameter, click.Option))
        with formatter.section("Options of a TOPIC or SPEC"):
            formatter.write_dl([row for each in shown if (row := each.get_help_record(ctx))])
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its whole first sentence."""
        commands = {name: self.commands[name] for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(WHOLE)) for name, each in commands.items() if not each.hidden]
            )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands, topics and specs, or the options of all of them, that begin so."""
        show = self.commands[SHOW]
        found = super().shell_complete(ctx, incomplete)
        found += click.Command.shell_complete(show, ctx, incomplete)
        if incomplete.startswith("-"):
            return found
        from chainrule.cli.parameters import file, subjects

        return [*found, *subjects(incomplete)] or file(incomplete)


def _options(command: click.Command, ctx: click.Context) -> list[str]:
    return [name for each in command.get_params(ctx) if isinstance(each, click.Option) for name in each.opts]
