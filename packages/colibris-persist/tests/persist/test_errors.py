"""What an API answers to what a database refuses."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tortoise.exceptions import DBConnectionError, IntegrityError, OperationalError, ValidationError

from colibris.persist import errors
from colibris.persist.database import opened
from colibris.persist.mysql import MySQLBackend
from colibris.persist.mysql.errors import driver
from colibris.persist.mysql.errors import translate as from_mysql
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.sqlite.errors import translate as from_sqlite
from colibris.persist.testing.models import ContractBook, ContractShelf, ContractTicket


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Any]:
    backend = SQLiteBackend(name=str(tmp_path / 'a.db'))
    async with opened({'default': backend}, ['colibris.persist.testing.models']) as databases:
        yield databases


def answer(error: Exception, model: Any = None) -> tuple[int, str, object] | None:
    found = errors.translate(error, model)
    return None if found is None else (found.status, found.code, found.details)


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (
            errors.UniqueViolation('', table='contractshelf', columns=['name']),
            (409, 'duplicate', {'name': ['this value is taken']}),
        ),
        (
            errors.UniqueViolation('', constraint='uid_contractboo_title_a638b2'),
            (
                409,
                'duplicate',
                {
                    'title': ['this combination is taken'],
                    'shelf_id': ['this combination is taken'],
                },
            ),
        ),
        (errors.UniqueViolation('', constraint='something'), (409, 'duplicate', None)),
        (
            errors.MissingReference('', table='contractbook', columns=['shelf_id']),
            (400, 'schema_error', {'shelf_id': ['this refers to something that does not exist']}),
        ),
        (errors.MissingReference(''), (400, 'invalid_request', None)),
        (errors.StillReferenced('', table='contractbook'), (409, 'referenced', None)),
        (
            errors.NotNullViolation('', table='contractshelf', columns=['name']),
            (400, 'schema_error', {'name': ['this may not be null']}),
        ),
        (errors.CheckViolation('', constraint='positive'), (400, 'invalid_request', None)),
        (errors.InvalidValue(''), (400, 'invalid_request', None)),
        (errors.TransactionConflict(''), (503, 'service_unavailable', None)),
        (errors.DatabaseUnavailable('secret host'), (503, 'service_unavailable', None)),
        (errors.AccessDenied('secret user'), (503, 'service_unavailable', None)),
        (DBConnectionError('x'), (503, 'service_unavailable', None)),
        (IntegrityError('of another backend'), (409, 'conflict', None)),
        (
            ValidationError("name: Length of 'x' 30 > 20"),
            (400, 'schema_error', {'name': ["Length of 'x' 30 > 20"]}),
        ),
        (ValidationError('Value must not be None'), (400, 'invalid_request', None)),
        (OperationalError('bad SQL'), None),
        (KeyError('x'), None),
    ],
)
async def test_answers(database: Any, error: Exception, expected: object) -> None:
    assert answer(error) == expected


async def test_answers_do_not_repeat_what_the_database_said(database: Any) -> None:
    found = errors.translate(errors.DatabaseUnavailable('host db.internal user bob'))
    assert found is not None
    assert 'bob' not in found.message
    assert found.headers['Retry-After']


async def test_error_of_another_table_is_not_of_this_model(database: Any) -> None:
    error = errors.UniqueViolation('', table='contractshelf', columns=['name'])
    assert errors.unique_fields(error, ContractBook) == ()
    assert errors.unique_fields(error, ContractShelf) == ('name',)
    assert errors.unique_fields(ValueError('name'), ContractShelf) == ()
    assert errors.kind(ValueError('name')) is None


@pytest.mark.parametrize(
    ('model', 'constraint', 'fields'),
    [
        (ContractShelf, 'PRIMARY', ('id',)),
        (ContractTicket, 'PRIMARY', ('code',)),
        (ContractShelf, 'contractshelf_pkey', ('id',)),
        (ContractShelf, 'name', ('name',)),
        (ContractShelf, 'name_2', ('name',)),
        (ContractShelf, 'contractshelf_name_key', ('name',)),
        (ContractShelf, 'text', ()),
        (ContractShelf, 'nothing', ()),
    ],
)
async def test_fields_by_the_name_of_a_constraint(
    database: Any, model: Any, constraint: str, fields: tuple[str, ...]
) -> None:
    assert errors.unique_fields(errors.UniqueViolation('', constraint=constraint), model) == fields


MYSQL = [
    (1062, "Duplicate entry 'a' for key 'name'", errors.UniqueViolation, (None, (), 'name')),
    (1062, "Duplicate entry 'x for key 'y' for key 'shop.name'", errors.UniqueViolation, ('shop', (), 'name')),
    (1048, "Column 'name' cannot be null", errors.NotNullViolation, (None, ('name',), None)),
    (1364, "Field 'name' doesn't have a default value", errors.NotNullViolation, (None, ('name',), None)),
    (1406, "Data too long for column 'name' at row 1", errors.InvalidValue, (None, ('name',), None)),
    (1366, "Incorrect integer value: 'x' for column `d`.`t`.`n` at row 1", errors.InvalidValue, ('t', ('n',), None)),
    (4025, 'CONSTRAINT `positive` failed for `d`.`t`', errors.CheckViolation, (None, (), None)),
    (
        1216,
        'Cannot add or update a child row: a foreign key constraint fails',
        errors.MissingReference,
        (None, (), None),
    ),
    (1213, 'Deadlock found', errors.TransactionConflict, (None, (), None)),
    (1205, 'Lock wait timeout exceeded', errors.TransactionConflict, (None, (), None)),
    (1040, 'Too many connections', errors.DatabaseUnavailable, (None, (), None)),
    (2013, 'Lost connection', errors.DatabaseUnavailable, (None, (), None)),
    (1049, "Unknown database 'shop'", errors.MissingDatabase, (None, (), None)),
    (1045, "Access denied for user 'bob'", errors.AccessDenied, (None, (), None)),
]


@pytest.mark.parametrize(('code', 'message', 'expected', 'place'), MYSQL)
def test_errors_of_mysql(code: int, message: str, expected: type[Exception], place: object) -> None:
    found: Any = from_mysql(driver.OperationalError(code, message), MySQLBackend(name='shop'))
    assert type(found) is expected
    assert (found.table, found.columns, found.constraint) == place


def test_other_errors_of_mysql() -> None:
    backend = MySQLBackend(name='shop')
    assert type(from_mysql(driver.ProgrammingError(1064, 'syntax'), backend)) is OperationalError
    assert type(from_mysql(driver.InterfaceError(0, 'Not connected'), backend)) is errors.DatabaseUnavailable
    assert from_mysql(KeyError('x'), backend) is None
    assert from_mysql(RuntimeError('of the application'), backend) is None


SQLITE = """
    CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL, c INT CHECK (c > 0), "d, e" INT UNIQUE, UNIQUE (b, c));
    CREATE TABLE u (a TEXT);
    CREATE UNIQUE INDEX lower_a ON u (lower(a));
    INSERT INTO u VALUES ('x');
"""


@pytest.mark.parametrize(
    ('statement', 'expected', 'place'),
    [
        ("INSERT INTO t VALUES (1, 'y', 9, 9)", errors.UniqueViolation, ('t', ('a',), None)),
        ("INSERT INTO t VALUES (2, 'x', 1, 9)", errors.UniqueViolation, ('t', ('b', 'c'), None)),
        ("INSERT INTO u VALUES ('X')", errors.UniqueViolation, (None, (), 'lower_a')),
        ('INSERT INTO t VALUES (2, NULL, 9, 9)', errors.NotNullViolation, ('t', ('b',), None)),
        ("INSERT INTO t VALUES (2, 'y', 0, 9)", errors.CheckViolation, (None, (), None)),
    ],
)
def test_errors_of_sqlite(statement: str, expected: type[Exception], place: object) -> None:
    connection = sqlite3.connect(':memory:')
    connection.executescript(SQLITE)
    connection.execute("INSERT INTO t VALUES (1, 'x', 1, 1)")
    with pytest.raises(sqlite3.IntegrityError) as caught:
        connection.execute(statement)
    connection.close()
    found: Any = from_sqlite(caught.value, SQLiteBackend(name=':memory:'))
    assert type(found) is expected
    assert (found.table, found.columns, found.constraint) == place
