"""What is stored comes back, and what does not fit is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from colibris.persist import Model, errors
from colibris.persist.database import Databases, get_connection
from colibris.persist.testing.base import BackendContract
from colibris.persist.testing.models import ContractBook, ContractShelf, ContractTicket, names


class ValuesContract(BackendContract):
    """Values, and the errors that say why one was refused."""

    async def test_values_come_back_as_they_were(self, database: Databases) -> None:
        values: dict[str, Any] = {
            'name': 'é\'"\\%s €',
            'text': 'snow ☃ and 🎉\nnew line',
            'big': 2**62,
            'small': -32768,
            'price': Decimal('1234567890.12'),
            'ratio': 0.1,
            'flag': True,
            'day': date(2024, 2, 29),
            'moment': datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
            'lasting': timedelta(days=1, seconds=2, microseconds=3),
            'data': {'a': [1, 2.5, None, True], 'b': 'ü'},
            'blob': bytes(range(256)),
            'key': UUID('12345678-1234-5678-1234-567812345678'),
        }
        await ContractShelf.create(**values)
        found = await ContractShelf.get(name=values['name'])
        assert {name: getattr(found, name) for name in values} == values

    async def test_nulls_come_back(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        found = await ContractShelf.get(name='a')
        assert {found.text, found.price, found.moment, found.data, found.key} == {None}

    async def test_points_in_time_are_stored_in_utc(self, database: Databases) -> None:
        east = timezone(timedelta(hours=5, minutes=30))
        moment = datetime(2024, 1, 1, 3, 0, tzinfo=east)
        await ContractShelf.create(name='created', moment=moment)
        await ContractShelf.bulk_create([ContractShelf(name='bulk', moment=moment)])
        await ContractShelf.create(name='updated')
        await ContractShelf.filter(name='updated').update(moment=moment)
        found = await ContractShelf.all().values_list('moment', flat=True)
        assert found == [datetime(2023, 12, 31, 21, 30, tzinfo=UTC)] * 3

    async def test_points_in_time_are_compared_in_utc(self, database: Databases) -> None:
        await ContractShelf.create(name='a', moment=datetime(2024, 1, 1, 12, 0, tzinfo=UTC))
        west = timezone(timedelta(hours=-8))
        assert await ContractShelf.filter(moment__gt=datetime(2024, 1, 1, 3, 59, tzinfo=west)).count() == 1
        assert await ContractShelf.filter(moment__lt=datetime(2024, 1, 1, 4, 1, tzinfo=west)).count() == 1
        assert await ContractShelf.filter(moment=datetime(2024, 1, 1, 4, 0, tzinfo=west)).count() == 1

    async def test_an_update_counts_the_rows_that_it_finds(self, database: Databases) -> None:
        await ContractShelf.create(name='a', small=1)
        assert await ContractShelf.filter(name='a').update(small=1) == 1
        assert await ContractShelf.filter(name='b').update(small=1) == 0

    async def test_unique_value(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.UniqueViolation) as caught:
            await ContractShelf.create(name='a')
        assert errors.unique_fields(caught.value, ContractShelf) == ('name',)
        assert errors.kind(caught.value) is errors.Kind.UNIQUE
        answer = errors.translate(caught.value, ContractShelf)
        assert answer is not None
        assert (answer.status, answer.code, answer.details) == (409, 'duplicate', {'name': ['this value is taken']})

    async def test_unique_combination(self, database: Databases) -> None:
        shelf = await ContractShelf.create(name='a')
        await ContractBook.create(title='x', shelf=shelf)
        with pytest.raises(errors.UniqueViolation) as caught:
            await ContractBook.create(title='x', shelf=shelf)
        assert errors.unique_fields(caught.value, ContractBook) == ('title', 'shelf_id')

    @pytest.mark.parametrize('model', [ContractShelf, ContractTicket])
    async def test_unique_key(self, database: Databases, model: type[Model]) -> None:
        values: dict[str, Any] = {'id': 7, 'name': 'a'} if model is ContractShelf else {'code': 'a'}
        await model.create(**values)
        with pytest.raises(errors.UniqueViolation) as caught:
            await model.create(**{**values, 'name': 'b'} if model is ContractShelf else values)
        assert errors.unique_fields(caught.value, model) == (model._meta.pk_attr,)

    async def test_bulk_create_refuses_duplicates(self, database: Databases) -> None:
        with pytest.raises(errors.UniqueViolation):
            await ContractShelf.bulk_create([ContractShelf(name='a'), ContractShelf(name='a')])
        assert await names() == []

    async def test_reference_to_what_does_not_exist(self, database: Databases) -> None:
        with pytest.raises(errors.MissingReference) as caught:
            await ContractBook.create(title='x', shelf_id=12345)
        answer = errors.translate(caught.value, ContractBook)
        assert answer is not None
        assert answer.status == 400
        if self.names_references:
            assert errors.fields_of(caught.value, ContractBook) == ('shelf_id',)

    async def test_deleting_what_is_referenced(self, database: Databases) -> None:
        shelf = await ContractShelf.create(name='a')
        await ContractBook.create(title='x', shelf=shelf)
        with pytest.raises(errors.StillReferenced) as caught:
            await shelf.delete()
        answer = errors.translate(caught.value)
        assert answer is not None
        assert (answer.status, answer.code) == (409, 'referenced')

    async def test_null_where_there_must_be_a_value(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.NotNullViolation) as caught:
            await get_connection().execute_query('UPDATE contractshelf SET name = NULL')
        assert errors.fields_of(caught.value, ContractShelf) == ('name',)

    async def test_value_out_of_range(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.InvalidValue) as caught:
            await ContractShelf.filter(name='a').update(big=10**30)
        answer = errors.translate(caught.value)
        assert answer is not None
        assert answer.status == 400

    async def test_value_that_is_too_long(self, database: Databases) -> None:
        if not self.strict_values:
            pytest.skip('the database takes any length')
        await ContractShelf.create(name='a')
        with pytest.raises(errors.InvalidValue):
            await get_connection().execute_query(f"UPDATE contractshelf SET name = '{'x' * 21}'")

    async def test_text_that_is_not_unicode(self, database: Databases) -> None:
        with pytest.raises(errors.InvalidValue):
            await ContractShelf.create(name='\ud800')

    async def test_bad_sql_is_an_operational_error(self, database: Databases) -> None:
        with pytest.raises(errors.OperationalError) as caught:
            await get_connection().execute_query('SELECT * FROM no_such_table')
        assert errors.translate(caught.value) is None
