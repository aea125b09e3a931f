"""The root of the command line: its options, and how expected errors are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter.cli.examples import examples
from adapter.cli.place import Place
from adapter.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Failure(click.ClickException):
    """An expected error: one line on standard error, and exit code 2."""

    exit_code = 2


class Root(click.Group):
    """Turns errors that have a name into one line; what has none is a defect and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AdapterError as error:
            raise Failure(error.message) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which they were added: from running to rehearsing."""
        return list(self.commands)

    def add_all(self, commands: Iterable[click.Command]) -> None:
        """Add commands, in the order in which `--help` lists them."""
        for command in commands:
            command.short_help = (command.help or "").partition("\n\n")[0].rstrip(".")
            self.add_command(command)


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "loyalty-adapter demo                          see the main job, offline",
        "loyalty-adapter apply shop.toml               configure sources, programs and endpoints",
        "loyalty-adapter serve                         run everything on this machine",
        "loyalty-adapter members explain shop:7000     why a balance is what it is",
        "loyalty-adapter deliveries list --state dead  what nobody answered",
        "loyalty-adapter audit                         prove that the book is right",
    ),
)
@click.option("--config", metavar="FILE", help="Settings file (TOML); the same as LOYALTY_CONFIG.")
@click.option("--tenant", metavar="NAME", help="Which tenant; needed where there are several.")
@click.option("--mode", type=click.Choice(["test", "live"]), help="Which mode; needed where there are both.")
@click.version_option(package_name="loyalty-event-adapter")
@click.pass_context
def root(ctx: click.Context, config: str | None, tenant: str | None, mode: str | None) -> None:
    """Shop webhooks in, a right points ledger, signed balance webhooks out."""
    ctx.obj = Place(config, tenant, mode)
