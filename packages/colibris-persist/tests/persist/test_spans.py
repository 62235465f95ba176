"""Statements are spans while tracing is on."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from colibris import persist, subsystems, tracing
from colibris.persist import errors
from colibris.persist.subsystem import subsystem
from colibris.tracing.testing import recorded

MODELS = """
    from colibris.persist import fields, models

    class Item(models.Model):
        id = fields.BigIntField(primary_key=True)
        name = fields.CharField(max_length=100, unique=True)
"""


@pytest.fixture(params=['postgresql', 'mysql', 'sqlite'])
def database(request: pytest.FixtureRequest, server: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    options = {'name': 'shop.db'} if request.param == 'sqlite' else server(request.param, 'spans')
    return {'backend': request.param, **options}


@pytest.fixture
async def spans(database: dict[str, Any], shop: Callable[..., None]) -> AsyncIterator[Callable[[], Any]]:
    """The spans of statements, while the database is open."""
    shop(settings=f'DATABASE = {database!r}', models=MODELS)
    backend = subsystem.configure()
    await backend.drop()
    await backend.create()
    async with recorded() as exporter:
        async with subsystems.running():
            await subsystem.databases.create_tables()
            exporter.clear()
            yield exporter.get_finished_spans
        await backend.drop()


async def test_a_statement_is_a_span_of_the_request_without_values(
    spans: Callable[[], Any], database: dict[str, Any]
) -> None:
    from shop.models import Item

    with tracing.span('request'):
        await Item.create(name='hunter2')
        assert await Item.get(name='hunter2')
        assert await Item.filter(name='hunter2').update(name='hunter22') == 1
        assert await Item.filter(name='hunter22').exists()
        assert await Item.all().count() == 1
        await Item.bulk_create([Item(name=f'hunter2-{number}') for number in range(5)])
    *found, request = spans()
    assert {'INSERT', 'SELECT', 'UPDATE'} <= {span.name for span in found}
    assert {span.attributes['db.system'] for span in found} == {database['backend']}
    for span in found:
        assert (span.kind, span.context.trace_id) == (SpanKind.CLIENT, request.context.trace_id)
        assert 'hunter2' not in span.to_json()


async def test_transactions_are_seen(spans: Callable[[], Any]) -> None:
    from shop.models import Item

    with tracing.span('request'):
        async with persist.transaction():
            await Item.create(name='a')
            with pytest.raises(LookupError):
                async with persist.transaction():
                    raise LookupError
    names = [span.name.rstrip(';') for span in spans()]
    assert names[0] == 'BEGIN'
    assert {'SAVEPOINT', 'ROLLBACK'} <= set(names)
    assert names[-2:] == ['COMMIT', 'request']


async def test_what_a_database_refuses_is_told_without_values(spans: Callable[[], Any]) -> None:
    from shop.models import Item

    with tracing.span('request'):
        await Item.create(name='hunter2')
        with pytest.raises(errors.UniqueViolation):
            await Item.create(name='hunter2')
    [failed] = [span for span in spans() if span.status.status_code is StatusCode.ERROR]
    assert failed.name == 'INSERT'
    assert 'hunter2' not in failed.to_json()


async def test_once_the_database_is_closed_its_driver_is_as_before(
    server: Callable[[str, str], dict[str, Any]], shop: Callable[..., None]
) -> None:
    before = asyncpg.connection.Connection.fetch
    shop(settings=f'DATABASE = { ({"backend": "postgresql", **server("postgresql", "spans")})!r}', models=MODELS)
    backend = subsystem.configure()
    await backend.drop()
    async with recorded():
        with pytest.raises(Exception, match='no such database'):
            async with subsystems.running():
                pass
        assert asyncpg.connection.Connection.fetch is before
        await backend.create()
        async with subsystems.running():
            assert asyncpg.connection.Connection.fetch is not before
    assert asyncpg.connection.Connection.fetch is before
    await backend.drop()


async def test_what_is_asked_for_nobody_is_not_traced(spans: Callable[[], Any]) -> None:
    from shop.models import Item

    async with persist.transaction():
        await Item.create(name='a')
    assert spans() == ()
