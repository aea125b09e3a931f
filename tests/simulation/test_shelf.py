"""The short way to a book of the simulation does what the long one does, and a book is put back as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from adapter.store import tables as t
from adapter.store.database import unit_of_work
from tests.simulation.run import live, program_of
from tests.simulation.shelf import Crash, Faults, Shelf, shelf_called
from tests.simulation.stage import stage

if TYPE_CHECKING:
    from sqlalchemy import Connection


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def add(connection: Connection, *numbers: int) -> None:
    for number in numbers:
        given = {"id": number, "tenant": f"t{number}", "mode": "test", "created_at": 0, "secret": b"\x00"}
        connection.execute(insert(t.environments).values(**given))


def there(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(t.environments.c.id).order_by(t.environments.c.id)).scalars())


def test_a_book_is_put_back_to_where_runs_begin() -> None:
    with stage(program_of(3)):
        begun = shelf_called("disturbed").rows()
    assert begun["members"]
    live(3)
    after = shelf_called("disturbed").rows()
    assert after["transfers"]
    assert after["deliveries"]
    with stage(program_of(3)):
        assert shelf_called("disturbed").rows() == begun


@pytest.mark.parametrize(
    ("where", "stays"), [("statement", []), ("before commit", []), ("after commit", [1])]
)
@pytest.mark.parametrize("error", [Crash, OperationalError])
def test_a_fault_strikes_where_it_is_told_to(
    shelf: Shelf, where: str, stays: list[int], error: type[BaseException]
) -> None:
    faults = Faults()
    engine = shelf.put({}, faults)
    faults.arm(where, 1, error)  # the BEGIN still goes through
    with pytest.raises(error), unit_of_work(engine) as connection:
        add(connection, 1)
    assert there(engine) == stays


def test_what_sqlite_refuses_is_an_error_of_sqlalchemys_and_leaves_nothing(shelf: Shelf) -> None:
    engine = shelf.put({}, Faults())
    with pytest.raises(IntegrityError), unit_of_work(engine) as connection:
        add(connection, 1, 1)
    assert there(engine) == []


def test_statements_take_one_row_of_values_many_or_none(shelf: Shelf) -> None:
    engine = shelf.put({}, Faults())
    with unit_of_work(engine) as connection:
        add(connection, 1, 2, 3)
        said = text("UPDATE environments SET created_at = :at WHERE id = :id")
        connection.execute(said, [{"at": 7, "id": 1}, {"at": 8, "id": 2}])
        connection.execute(t.environments.update().where(t.environments.c.id == 3).values(created_at=9))
    query = select(t.environments.c.created_at).where(t.environments.c.id > 1).order_by(t.environments.c.id)
    with engine.connect() as connection:
        assert connection.execute(query).scalars().all() == [8, 9]
        assert (
            connection.execute(text("SELECT created_at AS at FROM environments WHERE id = 1")).one().at == 7
        )
