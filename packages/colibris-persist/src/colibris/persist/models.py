"""The base class of all models."""

from __future__ import annotations

import tortoise.models

__all__ = ['Model', 'database_of']


class Model(tortoise.models.Model):
    """The base class of a project's models.

    Beside Tortoise's options, ``class Meta`` takes ``database``: the name of the database that the model lives in, a
    key of ``DATABASE['databases']``; 'default' if it is not given.
    """

    class Meta:
        abstract = True


def database_of(model: type[tortoise.models.Model]) -> str:
    """Return the name of the database that *model* lives in."""
    for cls in model.__mro__:
        meta = cls.__dict__.get('Meta')
        if isinstance(name := getattr(meta, 'database', None), str):
            return name
    return 'default'
