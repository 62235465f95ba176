"""The base class of all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tortoise.models

if TYPE_CHECKING:
    from tortoise import BaseDBAsyncClient

__all__ = ['Model', 'database_of']


class Model(tortoise.models.Model):
    """The base class of a project's models.

    Beside Tortoise's options, ``class Meta`` takes ``database``: the name of the database that the model lives in, a
    key of ``DATABASE['databases']``; 'default' if it is not given.
    """

    class Meta:
        abstract = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._meta.__class__ = MetaInfo


class MetaInfo(tortoise.models.MetaInfo):
    """What Tortoise knows of a model; it says what to do while no database is open."""

    __slots__ = ()

    @property
    def db(self) -> BaseDBAsyncClient:
        """The client for the model's database. Raises NotConfigured if none is open."""
        if self.default_connection is None:
            from colibris.persist import database

            if database.current() is None:
                raise database.not_open(database_of(self._model))
        return super().db


def database_of(model: type[tortoise.models.Model]) -> str:
    """Return the name of the database that *model* lives in."""
    for cls in model.__mro__:
        meta = cls.__dict__.get('Meta')
        if isinstance(name := getattr(meta, 'database', None), str):
            return name
    return 'default'
