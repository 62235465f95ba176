"""What a database can refuse, as one short tree of exceptions, and how an API answers to each.

All of them are Tortoise's exceptions too, so ``except IntegrityError`` goes on to work. The backends raise them with
what their database tells about the table, the columns and the constraint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from tortoise.exceptions import (
    BaseORMException,
    DBConnectionError,
    IntegrityError,
    OperationalError,
    TransactionManagementError,
    ValidationError,
)

from colibris.api import (
    APIException,
    Conflict,
    Duplicate,
    InvalidRequest,
    Referenced,
    SchemaError,
    ServiceUnavailable,
)

if TYPE_CHECKING:
    from tortoise.models import Model

__all__ = [
    'AccessDenied',
    'CheckViolation',
    'DatabaseUnavailable',
    'IntegrityError',
    'InvalidValue',
    'Kind',
    'MissingDatabase',
    'MissingReference',
    'NotNullViolation',
    'OperationalError',
    'Refusal',
    'StillReferenced',
    'TransactionConflict',
    'TransactionManagementError',
    'UniqueViolation',
    'Violation',
    'fields_of',
    'kind',
    'translate',
    'unique_fields',
]


class Kind(StrEnum):
    """Why a database refused, whichever database it is."""

    UNIQUE = 'unique'
    MISSING_REFERENCE = 'missing_reference'
    STILL_REFERENCED = 'still_referenced'
    NOT_NULL = 'not_null'
    CHECK = 'check'
    VALUE = 'value'
    CONFLICT = 'conflict'
    UNAVAILABLE = 'unavailable'


class Refusal(BaseORMException):
    """What the exceptions below have in common: the place that the database named.

    *table*, *columns* and *constraint* are names of the database, empty where it does not say.
    """

    kind: ClassVar[Kind]

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        columns: Iterable[str] = (),
        constraint: str | None = None,
    ) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.constraint = constraint
        super().__init__(message)


class Violation(Refusal, IntegrityError):
    """Raised when a statement would break a constraint of the database."""


class UniqueViolation(Violation):
    """Raised when a value that must be unique is taken."""

    kind = Kind.UNIQUE


class MissingReference(Violation):
    """Raised when a row would refer to one that does not exist."""

    kind = Kind.MISSING_REFERENCE


class StillReferenced(Violation):
    """Raised when a row cannot go because others refer to it."""

    kind = Kind.STILL_REFERENCED


class NotNullViolation(Violation):
    """Raised when a column that needs a value would get none."""

    kind = Kind.NOT_NULL


class CheckViolation(Violation):
    """Raised when a row would break a CHECK constraint."""

    kind = Kind.CHECK


class InvalidValue(Refusal, OperationalError):
    """Raised when a value does not fit its column: too long, out of range, or not of its type."""

    kind = Kind.VALUE


class TransactionConflict(Refusal, OperationalError):
    """Raised on a deadlock, a serialization failure or a lock that is held for too long; trying again may help."""

    kind = Kind.CONFLICT


class DatabaseUnavailable(Refusal, DBConnectionError):
    """Raised when the database cannot be reached, is lost, or does not answer in time."""

    kind = Kind.UNAVAILABLE


class MissingDatabase(DatabaseUnavailable):
    """Raised when the server is there but the database is not."""


class AccessDenied(DatabaseUnavailable):
    """Raised when the server does not let the user in."""


def kind(error: BaseException) -> Kind | None:
    """Return why the database refused, or None if *error* does not tell."""
    return error.kind if isinstance(error, Refusal) else None


def unique_fields(error: BaseException, model: type[Model]) -> tuple[str, ...]:
    """Return the attributes of *model* whose values are taken; empty if *error* is no such violation or does not tell.

    A foreign key goes by its column's attribute: ``author_id``.
    """
    return fields_of(error, model) if isinstance(error, UniqueViolation) else ()


def fields_of(error: BaseException, model: type[Model]) -> tuple[str, ...]:
    """Return the attributes of *model* that *error* is about, as far as the database says.

    What is wrong in the table of a relation to many is a matter of that relation.
    """
    if not isinstance(error, Refusal):
        return ()
    meta = model._meta
    if error.table is not None and error.table != meta.db_table:
        return tuple(name for name in meta.m2m_fields if _through(model, name) == error.table)
    columns = error.columns or _columns_of_constraint(error.constraint, model)
    attributes = meta.fields_db_projection_reverse
    return tuple(attributes[column] for column in columns if column in attributes)


def _through(model: type[Model], name: str) -> str:
    through: str = model._meta.fields_map[name].through  # type: ignore[attr-defined]
    return through


def _columns_of_constraint(constraint: str | None, model: type[Model]) -> tuple[str, ...]:
    """Find the columns of a unique *constraint* by the names that Tortoise and the databases give to them."""
    if constraint is None:
        return ()
    meta = model._meta
    if constraint in ('PRIMARY', f'{meta.db_table}_pkey'):
        return (meta.db_pk_column,)
    for columns, names in _unique_names(model):
        if constraint in names:
            return columns
    return ()


def _unique_names(model: type[Model]) -> Iterable[tuple[tuple[str, ...], set[str]]]:
    from tortoise.backends.base.schema_generator import BaseSchemaGenerator

    def index_name(prefix: str, columns: tuple[str, ...]) -> str:
        return BaseSchemaGenerator._get_index_name(generator, prefix, model, columns)

    generator = BaseSchemaGenerator.__new__(BaseSchemaGenerator)
    meta = model._meta
    for attribute, column in meta.fields_db_projection.items():
        if meta.fields_map[attribute].unique:
            names = {index_name(prefix, (column,)) for prefix in ('uid', 'uidx', 'idx')}
            # MySQL numbers the keys of a column that has several.
            yield (column,), {column, *(f'{column}_{n}' for n in range(2, 9)), f'{meta.db_table}_{column}_key', *names}
    for together in meta.unique_together:
        columns = tuple(_column(model, attribute) for attribute in together)
        yield columns, {index_name(prefix, columns) for prefix in ('uid', 'uidx')}


def _column(model: type[Model], attribute: str) -> str:
    projection = model._meta.fields_db_projection
    return projection.get(attribute) or projection.get(f'{attribute}_id') or attribute


def translate(error: Exception, model: type[Model] | None = None) -> APIException | None:
    """Return the API error by which a request is answered that met *error*; None if it is not a matter of the database.

    Without *model* the table that the error names is looked up among the models that are loaded.
    """
    if isinstance(error, Refusal):
        fields = _api_fields(error, model)
        return _ANSWERS[error.kind](fields)
    if isinstance(error, ValidationError):
        return _from_validation(error)
    if isinstance(error, IntegrityError):
        return Conflict('this contradicts what is stored')
    if isinstance(error, DBConnectionError):
        return _unavailable(())
    return None


def _api_fields(error: Refusal, model: type[Model] | None) -> tuple[str, ...]:
    candidates = [model] if model is not None else _models(error.table)
    for candidate in candidates:
        if fields := fields_of(error, candidate):
            return fields
    return error.columns


def _models(table: str | None) -> list[type[Model]]:
    from tortoise.context import get_current_context

    context = get_current_context()
    if context is None or context.apps is None:
        return []
    return [model for model in context.apps.get_models_iterable() if table in (None, model._meta.db_table)]


def _details(fields: Iterable[str], message: str) -> dict[str, list[str]] | None:
    return {field: [message] for field in fields} or None


def _duplicate(fields: tuple[str, ...]) -> APIException:
    if len(fields) > 1:
        return Duplicate(details=_details(fields, 'this combination is taken'))
    return Duplicate(details=_details(fields, 'this value is taken'))


def _missing_reference(fields: tuple[str, ...]) -> APIException:
    if not fields:
        return InvalidRequest('the request refers to something that does not exist')
    return SchemaError(details=_details(fields, 'this refers to something that does not exist'))


def _referenced(fields: tuple[str, ...]) -> APIException:
    return Referenced()


def _not_null(fields: tuple[str, ...]) -> APIException:
    if not fields:
        return InvalidRequest('a value that is needed is missing')
    return SchemaError(details=_details(fields, 'this may not be null'))


def _check(fields: tuple[str, ...]) -> APIException:
    return InvalidRequest('the values contradict a rule of the database')


def _value(fields: tuple[str, ...]) -> APIException:
    if not fields:
        return InvalidRequest('a value cannot be stored: it is too long, out of range or not of the right type')
    return SchemaError(details=_details(fields, 'this value is too long, out of range or not of the right type'))


def _conflict(fields: tuple[str, ...]) -> APIException:
    return ServiceUnavailable('somebody else is changing the same data; try again', headers={'Retry-After': '1'})


def _unavailable(fields: tuple[str, ...]) -> APIException:
    return ServiceUnavailable('the database is not available at the moment', headers={'Retry-After': '5'})


_ANSWERS = {
    Kind.UNIQUE: _duplicate,
    Kind.MISSING_REFERENCE: _missing_reference,
    Kind.STILL_REFERENCED: _referenced,
    Kind.NOT_NULL: _not_null,
    Kind.CHECK: _check,
    Kind.VALUE: _value,
    Kind.CONFLICT: _conflict,
    Kind.UNAVAILABLE: _unavailable,
}


def _from_validation(error: ValidationError) -> APIException:
    """Tortoise's validators say ``field: what is wrong``."""
    field, separator, message = str(error).partition(': ')
    if not separator or not field.isidentifier():
        return InvalidRequest(str(error))
    details: Mapping[str, list[str]] = {field: [message]}
    return SchemaError(details=details)
