"""Instances found by the value of one column: the statement is made once, and so is what makes the instances."""

from __future__ import annotations

import inspect
from typing import Any

from tortoise.models import Model

from colibris.persist.connections import Client, Transaction
from colibris.persist.database import client_of
from colibris.persist.plans.reading import NeedsInstances, check_model
from colibris.persist.plans.rows import Converter, instances
from colibris.persist.plans.statements import selection

__all__ = ['Lookup']


class Lookup:
    """Finds the instances of *model*, at most *limit*, whose column *name* has a value."""

    def __init__(self, model: type[Model], name: str, *, limit: int = 2) -> None:
        self._model = model
        self._name = name
        self._limit = limit
        self._field = model._meta.fields_map[name]
        self._is_plain = _is_plain(model)
        self._client: Client | None = None
        self._text = ''
        self._make: Converter | None = None

    async def find(self, value: Any) -> list[Any]:
        """Return the instances whose column has *value*."""
        client = client_of(self._model)
        if client is not self._client:
            self._open(client, value)
        if self._make is None:
            return await self._model.filter(**{self._name: value}).limit(self._limit)
        rows = await client.fetch(self._text, [self._field.to_db_value(value, self._model), self._limit])
        return list(self._make(rows))

    def _open(self, client: Any, value: Any) -> None:
        """Make the statement for the database of *client*, if it is certain what it binds."""
        self._client, self._make = client, None
        if not self._is_plain or not isinstance(client, (Client, Transaction)):
            return
        model = self._model
        names = list(model._meta.fields_db_projection)
        query = model.filter(**{self._name: value}).limit(self._limit)
        self._text, bound = selection(query, names).get_parameterized_sql()
        if bound == [self._field.to_db_value(value, model), self._limit]:
            self._make = instances(model, names, client.capabilities.dialect)


def _is_plain(model: type[Model]) -> bool:
    """Whether instances of *model* are made as the ORM makes them, and have their columns as plain attributes."""
    try:
        check_model(model)
    except NeedsInstances:
        return False
    return all(inspect.getattr_static(model, name, None) is None for name in model._meta.fields_db_projection)
