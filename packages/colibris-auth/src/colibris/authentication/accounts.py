"""Accounts in the database: which model they are of, how one is found, whether it is active."""

from __future__ import annotations

import logging
import re
import uuid
from importlib import import_module
from typing import TYPE_CHECKING, Any

from colibris.conf import ImproperlyConfigured

if TYPE_CHECKING:
    from tortoise.fields import Field
    from tortoise.models import Model

    from colibris.persist.plans.lookup import Lookup

logger = logging.getLogger(__name__)

_INTEGER = re.compile(r'(0|-?[1-9][0-9]{0,18})\Z')
_INT64 = 2**63


class Accounts:
    """The accounts of a model, found by the value of one of its fields.

    *model* is the class or its import path. A field that `resolve` is told of must exist.
    """

    def __init__(self, model: str | type, *, active_field: str | None, inactive_field: str | None) -> None:
        self._model = model
        self._active_field = active_field
        self._inactive_field = inactive_field
        self._resolved: type[Model] | None = None
        self._lookups: dict[str, Lookup] = {}

    @property
    def model(self) -> type[Model]:
        """The model. Raises ImproperlyConfigured if there is none."""
        if self._resolved is None:
            self._resolved = _find_model(self._model)
        return self._resolved

    def resolve(self, **fields: str | None) -> None:
        """Find the model, anew, and check that it has *fields*: each is the name of an option and what it says.

        Raises ImproperlyConfigured.
        """
        self._resolved = None
        self._lookups = {}
        fields |= {'active_field': self._active_field, 'inactive_field': self._inactive_field}
        for option, name in fields.items():
            if name is not None:
                self.check_field(option, name)

    def check_field(self, option: str, name: str) -> None:
        """Raise ImproperlyConfigured, naming *option*, unless the model has a column *name*."""
        columns = self.model._meta.fields_db_projection
        if name not in columns:
            raise _wrong(
                option,
                f'the model {self.model.__name__} has no field {name!r} with a column (it has: {", ".join(columns)})',
            )

    def warn_unless_unique(self, option: str, name: str) -> None:
        """Warn if the field *name* may have one value in several accounts, none of which could then be used."""
        field = self.model._meta.fields_map[name]
        if not (field.unique or field.pk):
            logger.warning(
                "AUTHENTICATION['%s']: %s.%s is not unique; accounts that share a value cannot be told apart and are "
                'refused',
                option,
                self.model.__name__,
                name,
            )

    def primary_key(self) -> str:
        """Return the name of the field that is the primary key."""
        return self.model._meta.pk_attr

    async def find(self, field: str, text: str) -> Any:
        """Return the active account whose *field* is written as *text*; None if there is not exactly one.

        What a database takes for equal, such as letters of another case, is another one here.
        """
        value = self._value(field, text)
        if value is None:
            return None
        found = await self._lookup(field).find(value)
        if len(found) != 1 or str(getattr(found[0], field)) != text or not self.is_active(found[0]):
            return None
        return found[0]

    def _lookup(self, field: str) -> Lookup:
        lookup = self._lookups.get(field)
        if lookup is None:
            from colibris.persist.plans.lookup import Lookup

            lookup = self._lookups[field] = Lookup(self.model, field)
        return lookup

    def is_active(self, account: Any) -> bool:
        """Tell whether *account* may be used."""
        if self._active_field is not None and not getattr(account, self._active_field):
            return False
        return self._inactive_field is None or not getattr(account, self._inactive_field)

    def _value(self, name: str, text: str) -> Any:
        """Return what the column holds for *text*; None if it cannot hold it."""
        field: Field[Any] = self.model._meta.fields_map[name]
        if field.field_type is int:
            return _integer(field, text)
        if field.field_type is uuid.UUID:
            return _uuid(text)
        return _other(field, text)


def is_storable(text: str) -> bool:
    """Tell whether a database can compare with *text*: it has no null characters, and no halves of characters."""
    if '\0' in text or len(text) > 1024:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return bool(text)


def _integer(field: Field[Any], text: str) -> int | None:
    if not _INTEGER.match(text):
        return None
    value = int(text)
    lowest, highest = field.constraints.get('ge', -_INT64), field.constraints.get('le', _INT64 - 1)
    return value if lowest <= value <= highest else None


def _other(field: Field[Any], text: str) -> Any:
    try:
        return field.to_python_value(text) if is_storable(text) else None
    except (TypeError, ValueError, ArithmeticError):  # not one of its values
        return None


def _uuid(text: str) -> uuid.UUID | None:
    try:
        value = uuid.UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def _find_model(model: str | type) -> type[Model]:
    found = _import(model) if isinstance(model, str) else model
    try:
        from tortoise.models import Model
    except ImportError as exc:
        raise _wrong('model', 'accounts in a database need colibris-persist: pip install colibris-persist') from exc
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise _wrong('model', f'{model} is no model, but {type(found).__name__}')
    if not found._meta._inited:
        raise _wrong(
            'model',
            f'the model {found.__name__} is not known to the database; models live in the module models of the '
            'project, and DATABASE must be set',
        )
    return found


def _import(path: str) -> Any:
    module, _, name = path.replace(':', '.').rpartition('.')
    if not module:
        raise _wrong('model', f"{path!r} is no import path; it has to be like 'yourproject.models.User'")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f'{module}.'.startswith(f'{exc.name}.'):
            raise
        raise _wrong('model', f'{path!r} cannot be imported: there is no module {exc.name!r}') from exc
    except AttributeError as exc:
        raise _wrong('model', f'the module {module} has no {name!r}') from exc


def _wrong(option: str, message: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"AUTHENTICATION['{option}']: {message}", setting=f'AUTHENTICATION.{option}')
