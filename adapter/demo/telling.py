"""How the story is told: a terminal gets colours, a pipe the same text without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter.cli.listening import Heard
    from adapter.demo.stage import Stage
    from adapter.demo.story import Step

SHOPS = {"shop": "Shopify", "woo": "WooCommerce", "pay": "Stripe"}
_LABEL = 12


class Teller:
    """Prints the story, a labelled line for each thing that happens."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)

    def opening(self, stage: Stage) -> None:
        """Say what runs."""
        self._line("loyalty-adapter, from webhook to webhook", "bold")
        self.note(f"The service runs at {stage.url} on SQLite. Shopify, WooCommerce and Stripe post to it.")
        self.note(
            "Two endpoints subscribe to balance.updated: one answers, one fails. Every signature is checked."
        )

    def step(self, number: int, step: Step, status: int, answer: Mapping[str, Any]) -> None:
        """Say what was posted, and what was answered."""
        self._line(f"\n{number}. {step.title}", "bold cyan")
        signed = "with a guessed secret" if step.forged else f"signed as {SHOPS[step.source]} signs"
        self._labelled(
            "event", f"POST /webhooks/{step.source}  {step.topic or step.payload['type']}, {signed}"
        )
        what = answer.get("status") if status < 400 else answer.get("code")  # noqa: PLR2004 - HTTP's errors begin here
        again = ", a repeat: " + answer["event"] if answer.get("duplicate") else ""
        self._labelled("answer", f"{status} {what}{again}", "green" if status < 400 else "red")  # noqa: PLR2004 - as above

    def effects(
        self, lines: Sequence[Mapping[str, Any]], balances: Mapping[str, Any], heard: Sequence[Heard]
    ) -> None:
        """Say which transfers it caused, what the balances are, and what the healthy receiver heard."""
        moved = [f"{line['kind']}: {line['from']} → {line['to']} {line['amount']}" for line in lines]
        self._labelled("transfers", "; ".join(moved) or "none")
        shown = " · ".join(f"{name} {balances[name]}" for name in ("available", "pending", "owed", "total"))
        self._labelled("balances", f"{balances['program']}/{balances['balance_definition']}: {shown}")
        for one in sorted(heard, key=lambda one: int(one.data["sequence"])):
            head = str(one.data["chain_head"])[:12]
            told = f"{one.message['type']}  sequence {one.data['sequence']}  chain head {head}…  verified ✓"
            self._labelled("heard", told, "green")
        if not heard:
            self._labelled("heard", "nothing")

    def moral(self, text: str) -> None:
        """Say why."""
        self._labelled("why", text, "italic")

    def chapter(self, title: str) -> None:
        """Begin something new."""
        self._line(f"\n{title}", "bold cyan")

    def note(self, text: str) -> None:
        """Say something."""
        self._line(f"   {text}")

    def shell(self, command: str, output: str) -> None:
        """Show a command and what it printed."""
        self._line(f"   $ loyalty-adapter {command}", "bold")
        for line in output.splitlines():
            self._line(f"   {line}")

    def closing(self, again: str | None) -> None:
        """Say that it went well."""
        self._line("\nEverything went as it must.", "bold green")
        if again is not None:
            self.note(f"The data is kept. Go on with: {again}")

    def _labelled(self, label: str, text: str, style: str = "") -> None:
        self._console.print(Text.assemble(("   " + label.ljust(_LABEL), "dim"), (text, style)))

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style))
