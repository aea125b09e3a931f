"""A draft of a program: one that is looked at before it is applied, out of an apply file or of a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.apply.file import check_tree, read_tree
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from adapter.catalog import Environment
    from adapter.program.model import Program

ALONE = "tenants[0].programs[0]."


def read_draft(path: Path, environment: Environment, name: str | None = None) -> Program:
    """Return the program of a file: the only one that it has for the environment, or the one of this name.

    A file with `tenants` is an apply file; any other is a program, written as a table of `tenants.programs` is.
    Raises `ConfigurationError` that names every place at fault, or the programs to choose from.
    """
    tree = read_tree(path)
    programs = _of_apply_file(tree, environment) if "tenants" in tree else _alone(tree, environment)
    chosen = [program for program in programs if name in (None, program.name)]
    if len(chosen) == 1:
        return chosen[0]
    listed = ", ".join(program.name for program in programs) or "none"
    wrong = f"{path} has no program {name!r}" if name else f"{path} has not exactly one program; name one"
    raise ConfigurationError(f"{wrong}: there are {listed}", field="program")


def _of_apply_file(tree: dict[str, Any], environment: Environment) -> tuple[Program, ...]:
    where = f"{environment.tenant}/{environment.mode}"
    found = [tenant for tenant in check_tree(tree).tenants if tenant.where == where]
    if not found:
        raise ConfigurationError(f"the file says nothing of {where}", field="tenants")
    return found[0].programs or ()


def _alone(tree: dict[str, Any], environment: Environment) -> tuple[Program, ...]:
    tenant = {"name": environment.tenant, "mode": environment.mode, "programs": [tree]}
    try:
        return check_tree({"tenants": [tenant]}).tenants[0].programs or ()
    except ConfigurationError as error:
        field = None if error.field is None else error.field.removeprefix(ALONE)
        raise ConfigurationError(error.message.replace(ALONE, ""), field=field) from None
