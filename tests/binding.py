"""Which tables of a statement are not bound by a key: those of which it may have to look at rows anywhere.

A table is bound when all columns of one of its keys equal something known: a parameter, one of the keys in an array or in
VALUES, a column of a table that is bound itself, or what a subquery finds in such tables. Nothing else binds: no range,
no key that only one side of an OR names, no key that an outer statement would have to hand down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

Keys = tuple[tuple[str, ...], ...]
Cell = tuple[str, str]
"""A column as a scope names it: (alias of its table, name)."""

DIALECTS = {"sqlite": "sqlite", "postgresql": "postgres"}
_MARKS = re.compile(r"%\((\w+)\)s|%s|\?")


@dataclass
class Source:
    """One table, subquery or list of values in a FROM. `keys` is None where any of its columns is known."""

    name: str
    columns: Collection[str] = ()
    keys: Keys | None = None


@dataclass
class Scope:
    """What one SELECT, UPDATE or DELETE sees: its own sources, and those around it."""

    sources: dict[str, Source] = field(default_factory=dict)
    bound: set[Cell] = field(default_factory=set)
    outer: Scope | None = None

    def is_known(self, alias: str) -> bool:
        """Return whether every column of a source is."""
        source = self.sources[alias]
        if source.keys is None:
            return True
        return any(all((alias, name) in self.bound for name in key) for key in (*source.keys, ("rowid",)))

    def has(self, column: exp.Column) -> tuple[Scope, str] | None:
        """Return where a column comes from: the scope, and the alias of the source."""
        if column.table:
            named = [column.table] if column.table in self.sources else []
        else:
            own = [alias for alias, source in self.sources.items() if column.name in source.columns]
            named = own or (list(self.sources) if len(self.sources) == 1 else [])
        if named:
            return self, named[0]
        return None if self.outer is None else self.outer.has(column)


class Judge:
    """Judges statements by the keys of tables, and by their columns where a statement does not say whose they are."""

    def __init__(self, keys: Mapping[str, Keys | None], columns: Mapping[str, Collection[str]]) -> None:
        self._keys, self._columns = keys, columns

    def unbound(self, dialect: str, text: str) -> list[str]:
        """Return the tables that a statement does not bind, as it calls them."""
        parsed = sqlglot.parse_one(_MARKS.sub(":p", text.replace("%%", "%")), read=DIALECTS[dialect])
        return sorted(set(self._judge(parsed, Scope(), set())))

    def _judge(self, node: exp.Expr, outer: Scope, given: Collection[str]) -> Iterator[str]:
        """Yield the unbound tables of a statement and of everything in it. `given` are the names of WITHs."""
        ctes = set(given)
        for cte in getattr(node.args.get("with_"), "expressions", ()):
            ctes.add(cte.alias)
            yield from self._judge(cte.this, outer, ctes)
        if isinstance(node, exp.Subquery):
            yield from self._judge(node.this, outer, ctes)
        elif isinstance(node, exp.SetOperation):
            yield from self._judge(node.this, outer, ctes)
            yield from self._judge(node.expression, outer, ctes)
        elif isinstance(node, exp.Insert):
            if isinstance(node.expression, exp.Query):
                yield from self._judge(node.expression, outer, ctes)
        else:
            yield from self._scope(node, outer, ctes)

    def _scope(self, node: exp.Expr, outer: Scope, ctes: Collection[str]) -> Iterator[str]:
        scope = Scope(outer=outer)
        for part in _sources(node):
            scope.sources[part.alias_or_name] = self._source(part, ctes)
        _bind(node, scope)
        for query in _nested(node):
            yield from self._judge(query, scope, ctes)
        for alias, source in scope.sources.items():
            if not scope.is_known(alias):
                yield source.name if source.name == alias else f"{source.name} AS {alias}"

    def _source(self, node: exp.Expr, ctes: Collection[str]) -> Source:
        """Return a source of a FROM. What is not a table of ours is known: a query in its place is judged by itself."""
        if isinstance(node, exp.Table) and node.name in self._keys and node.name not in ctes:
            return Source(node.name, self._columns[node.name], self._keys[node.name])
        return Source(node.alias_or_name)


def _bind(node: exp.Expr, scope: Scope) -> None:
    """Find out what is bound, until nothing more is."""
    conditions = list(_conditions(node))
    size = -1
    while len(scope.bound) > size:
        size = len(scope.bound)
        for condition, only in conditions:
            cells = _cells(condition, scope)
            scope.bound |= {cell for cell in cells if only in (None, cell[0])}


def _sources(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield what stands in the FROM of a statement, and what an UPDATE or DELETE is of."""
    if isinstance(node, (exp.Update, exp.Delete)):
        yield node.this
        yield from node.args.get("using") or ()
    start = node.args.get("from_")
    if start is not None:
        yield from _joined(start.this)
    for join in node.args.get("joins") or ():
        yield from _joined(join.this)
    yield from node.args.get("laterals") or ()


def _joined(node: exp.Expr) -> Iterator[exp.Expr]:
    yield node
    for join in node.args.get("joins") or ():
        yield from _joined(join.this)


def _conditions(node: exp.Expr) -> Iterator[tuple[exp.Expr, str | None]]:
    """Yield what holds for every row: WHERE, and ON; of an outer join what holds for the rows of its own source only."""
    where = node.args.get("where")
    if where is not None:
        yield where.this, None
    for source in (node, *_sources(node)):
        for join in source.args.get("joins") or ():
            if join.args.get("on") is not None:
                yield join.args["on"], join.this.alias_or_name if join.args.get("side") else None


def _cells(condition: exp.Expr, scope: Scope) -> set[Cell]:
    """Return the columns of this scope that a condition binds."""
    if isinstance(condition, exp.Paren):
        return _cells(condition.this, scope)
    if isinstance(condition, exp.And):
        return _cells(condition.left, scope) | _cells(condition.right, scope)
    if isinstance(condition, exp.Or):
        return _cells(condition.left, scope) & _cells(condition.right, scope)
    if isinstance(condition, exp.In):
        others = [query] if (query := condition.args.get("query")) else condition.expressions
        return _equal(condition.this, others, scope)
    if isinstance(condition, (exp.EQ, exp.NullSafeEQ)):
        left, right = condition.left, condition.right
        return _equal(left, [right], scope) | _equal(right, [left], scope)
    return set()


def _equal(one: exp.Expr, others: list[exp.Expr], scope: Scope) -> set[Cell]:
    """Return the columns that `one` names, if all others are known."""
    named = one.expressions if isinstance(one, exp.Tuple) else [one]
    columns = [column for column in named if isinstance(column, exp.Column)]
    if len(columns) < len(named):
        return set()
    if isinstance(one, exp.Tuple) and len(others) == 1 and isinstance(others[0], exp.Tuple):
        pairs = zip(columns, others[0].expressions, strict=False)
        return set().union(*(_equal(column, [other], scope) for column, other in pairs))
    if not all(_is_known(other, scope) for other in others):
        return set()
    homes = [(column, scope.has(column)) for column in columns]
    return {(home[1], column.name) for column, home in homes if home is not None and home[0] is scope}


def _is_known(node: exp.Expr, scope: Scope) -> bool:
    """Return whether the value of an expression is known before any table that is not bound is looked into."""
    if isinstance(node, exp.Query):
        return True  # its own tables are judged by themselves
    if isinstance(node, exp.Column):
        home = scope.has(node)
        return home is not None and (home[0].is_known(home[1]) or (home[1], node.name) in home[0].bound)
    return all(_is_known(part, scope) for part in node.iter_expressions())


def _nested(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the queries right inside a statement, wherever they stand, but for its WITHs."""
    for name, part in node.args.items():
        if name == "with_":
            continue
        for one in part if isinstance(part, list) else [part]:
            if isinstance(one, (exp.Select, exp.SetOperation)):
                yield one
            elif isinstance(one, exp.Expr):
                yield from _nested(one)
