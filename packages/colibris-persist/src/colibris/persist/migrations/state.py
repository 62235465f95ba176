"""Read the tables from model modules, and keep them in migration files.

A file keeps the models in aerich's form (its ``MODELS_STATE``), so that aerich can go on from our files. Each model's
part has one entry more, ``colibris``, with its tables as `schema.py` describes them: aerich's form leaves out what a
downgrade needs, such as database defaults and the keys of relations, and is written for one dialect.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from pypika_tortoise.context import DEFAULT_SQL_CONTEXT
from pypika_tortoise.dialects import MySQLQuery
from tortoise.apps import Apps
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.exceptions import ConfigurationError
from tortoise.fields import DatetimeField, Field
from tortoise.fields.relational import ForeignKeyFieldInstance, ManyToManyFieldInstance, OneToOneFieldInstance
from tortoise.indexes import Index
from tortoise.models import Model

from colibris.persist.migrations import schema
from colibris.persist.migrations.errors import InvalidMigration, MigrationError
from colibris.persist.migrations.schema import DIALECTS, Column, Key, Reference, Schema, Sql, Table
from colibris.persist.migrations.tracking import APP
from colibris.persist.migrations.values import NOW, literal, stored
from colibris.persist.models import database_of

#: Our entry in aerich's description of a model, and its version.
ENTRY = 'colibris'
VERSION = 1
#: In bytes; PostgreSQL cuts off what is longer, MySQL takes one more character.
MAX_NAME = 63

State = dict[str, dict[str, Any]]

_names = BaseSchemaGenerator(cast('Any', None))
_sql_contexts = {
    'sqlite': DEFAULT_SQL_CONTEXT,
    'postgres': DEFAULT_SQL_CONTEXT,
    'mysql': MySQLQuery.SQL_CONTEXT,
}


def find_models(modules: Iterable[str | ModuleType], database: str = 'default') -> list[type[Model]]:
    """Return the models of *modules* that live in *database*, sorted by name, with their relations resolved.

    No connection is needed. Models that say ``managed = False`` are left out: their tables are somebody else's.
    """
    loaded = [module if isinstance(module, ModuleType) else importlib.import_module(module) for module in modules]
    config = {APP: {'models': loaded, 'default_connection': 'default'}}
    connections = cast('Any', SimpleNamespace(db_config={'default': {}}))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)  # a module without models is fine
            apps = Apps(config, connections, validate_connections=False)
    except ConfigurationError as exc:
        raise MigrationError(f'the models cannot be used: {exc}') from exc
    models = [
        model
        for model in apps[APP].values()
        if database_of(model) == database
        and model._meta.db_table != 'aerich'
        and getattr(model.Meta, 'managed', None) is not False
    ]
    return sorted(models, key=lambda model: model.__name__)


def read_state(models: Iterable[type[Model]]) -> State:
    """Return what a migration file keeps about *models*."""
    models = list(models)
    own_tables = {model._meta.db_table for model in models}
    state: State = {}
    for model in models:
        described = _describe(model)
        tables = [_table(model), *_relation_tables(model, own_tables)]
        for table in tables:
            _check_names(table)
        described[ENTRY] = {'version': VERSION, 'tables': [schema.dump(table) for table in tables]}
        state[described['name']] = described
    return state


def schema_of(state: Mapping[str, Mapping[str, Any]], file: str = '') -> Schema:
    """Return the tables that *state* describes; *file* is where it comes from, for the error's message."""
    tables: dict[str, Table] = {}
    for name, described in state.items():
        entry = described.get(ENTRY)
        if entry is None or entry.get('version') != VERSION:
            raise InvalidMigration(
                file,
                f'its state of {name} was not written by this version of makemigrations;'
                ' make the next migration with the tool that made this one',
            )
        for data in entry['tables']:
            table = schema.load(data)
            tables[table.model] = table
    return tables


def encode(state: State) -> str:
    """Return *state* as aerich writes it: Python string literals, one a line."""
    from aerich.utils import get_formatted_compressed_data

    return get_formatted_compressed_data(state)


def decode(text: str, file: str) -> State:
    """Return the state that `encode` made *text* of. Raises InvalidMigration when that cannot be."""
    from aerich.utils import decompress_dict

    try:
        return decompress_dict(text)
    except Exception as exc:
        raise InvalidMigration(file, f'its MODELS_STATE cannot be read ({exc}); restore the file') from exc


def _describe(model: type[Model]) -> dict[str, Any]:
    """Return aerich's description of *model*, in an order that does not depend on the process."""
    try:
        described = dict(model.describe(), managed=getattr(model.Meta, 'managed', None))
    except AttributeError as exc:  # Tortoise asks the default for its __name__
        raise MigrationError(
            f'{model.__name__} cannot be described ({exc}): give the default of its field as a named function'
        ) from exc
    order = {name: place for place, name in enumerate(_column_fields(model))}
    described['data_fields'].sort(key=lambda item: order[item['name']])
    for kind in ('fk_fields', 'o2o_fields', 'm2m_fields', 'backward_fk_fields', 'backward_o2o_fields'):
        described[kind].sort(key=lambda item: item['name'])
    return described


def _column_fields(model: type[Model]) -> list[str]:
    """Return the names of the fields that are columns: the model's own first, then its keys, each as declared."""
    declared = {name: place for place, name in enumerate(model._meta.fields_map)}

    def place(name: str) -> tuple[bool, bool, int]:
        item = model._meta.fields_map[name]
        relation = getattr(item, 'reference', None)
        return (not item.pk, relation is not None, declared[relation.model_field_name if relation else name])

    return sorted(model._meta.fields_db_projection, key=place)


def _table(model: type[Model]) -> Table:
    meta = model._meta
    columns = tuple(_column(model, name) for name in _column_fields(model))
    return Table(
        model=model.__name__,
        name=meta.db_table,
        columns=columns,
        keys=tuple(_keys(model)),
        comment=meta.table_description or '',
        schema=meta.schema or '',
    )


def _check_names(table: Table) -> None:
    """Raise MigrationError if a database would cut off a name, so that it could be another's."""
    named = [(table.name, 'table')]
    named += [(column.name, 'source_field') for column in table.columns]
    named += [(key.name, 'name of the index') for key in table.keys]
    for name, option in named:
        if len(name.encode()) > MAX_NAME:
            if '.' in table.model:
                option = 'through, or forward_key and backward_key'
            raise MigrationError(
                f'{table.model}: the name {name!r} is longer than the {MAX_NAME} bytes that databases take;'
                f' give a shorter one by {option}'
            )


def _column(model: type[Model], name: str) -> Column:
    item = model._meta.fields_map[name]
    relation = cast('ForeignKeyFieldInstance[Any] | None', getattr(item, 'reference', None))
    column = model._meta.fields_db_projection[name]
    described = relation or item
    return Column(
        field=relation.model_field_name if relation else name,
        name=column,
        types=_types(item),
        null=bool(item.null),
        unique=bool(item.unique) and not item.pk,
        primary=bool(item.pk),
        generated=_generated(item),
        default=_default(item),
        comment=described.description or '',
        reference=_reference(model, column, relation) if relation and relation.db_constraint else None,
    )


def _types(item: Field[Any]) -> Sql:
    if isinstance(item, OneToOneFieldInstance):
        return _types(item.related_model._meta.pk)
    return {dialect: str(item.get_for_dialect(dialect, 'SQL_TYPE')) for dialect in DIALECTS}


def _generated(item: Field[Any]) -> Sql:
    if not item.generated:
        return {}
    found = {dialect: item.get_for_dialect(dialect, 'GENERATED_SQL') for dialect in DIALECTS}
    return {
        dialect: str(sql) if item.pk else f'{item.get_for_dialect(dialect, "SQL_TYPE")} {sql}'
        for dialect, sql in found.items()
        if sql
    }


def _default(item: Field[Any]) -> Sql:
    if not item.has_db_default():
        return {}
    default: Any = item.db_default
    if hasattr(default, 'get_sql'):
        found = {dialect: str(default.get_sql(dialect=dialect)) for dialect in DIALECTS}
        if found['sqlite'] == 'CURRENT_TIMESTAMP' and isinstance(item, DatetimeField):
            # SQLite's own leaves out the zone, and what is compared as text has to be written alike.
            found['sqlite'] = f'({NOW["sqlite"]})'
        return found
    value = stored(default, item)
    if isinstance(value, Decimal):
        return dict.fromkeys(DIALECTS, str(value))
    return {dialect: literal(value, dialect) for dialect in DIALECTS}


def _reference(model: type[Model], column: str, relation: ForeignKeyFieldInstance[Any]) -> Reference:
    target = relation.related_model._meta
    to_column = relation.to_field_instance.source_field or relation.to_field_instance.model_field_name
    name = _names._get_fk_name(model._meta.db_table, column, target.db_table, to_column)
    return Reference(
        table=target.db_table,
        column=to_column,
        on_delete=str(relation.on_delete),
        name=name,
        index=name,
        schema=target.schema or '',
    )


def _keys(model: type[Model]) -> Iterator[Key]:
    meta = model._meta
    for name in _column_fields(model):
        item = meta.fields_map[name]
        if item.index and not item.pk:
            yield _index(model, (meta.fields_db_projection[name],))
    for together in meta.unique_together or ():
        columns = tuple(_column_name(model, name) for name in together)
        yield Key(_names._get_index_name('uid', model, columns), columns, unique=True, constraint=True)
    for index in meta.indexes or ():
        if isinstance(index, Index):
            yield _declared_index(model, index)
        else:
            yield _index(model, tuple(_column_name(model, name) for name in index))


def _column_name(model: type[Model], name: str) -> str:
    item = model._meta.fields_map[name]
    if isinstance(item, ForeignKeyFieldInstance):
        name = str(item.source_field or name)
    return model._meta.fields_db_projection.get(name, name)


def _index(model: type[Model], columns: tuple[str, ...]) -> Key:
    return Key(_names._get_index_name('idx', model, columns), columns)


def _declared_index(model: type[Model], index: Index) -> Key:
    index.resolve_expressions(model)
    if not index.expressions:
        columns = tuple(_column_name(model, name) for name in index.fields)
        name = index.name or _names._get_index_name('idx', model, columns)
        return Key(name, columns, type=index.INDEX_TYPE, extra=index.extra or '')
    expressions = {
        dialect: tuple(f'({cast("Any", item).get_sql(context)})' for item in index.expressions)
        for dialect, context in _sql_contexts.items()
    }
    name = index.name or _names._get_index_name('idx', model, index.field_names)
    return Key(name, (), type=index.INDEX_TYPE, extra=index.extra or '', expressions=expressions)


def _relation_tables(model: type[Model], own_tables: set[str]) -> Iterator[Table]:
    """Yield the tables of the many-to-many relations that *model* declares and that no model stands for."""
    for name in sorted(model._meta.m2m_fields):
        relation = cast('ManyToManyFieldInstance[Any]', model._meta.fields_map[name])
        if not relation._generated and relation.through not in own_tables:
            yield _relation_table(model, name, relation)


def _relation_table(model: type[Model], name: str, relation: ManyToManyFieldInstance[Any]) -> Table:
    through = str(relation.through)
    ends = ((str(relation.backward_key), model), (str(relation.forward_key), relation.related_model))
    columns = tuple(
        Column(
            field=side,
            name=key,
            types=_types(end._meta.pk),
            reference=Reference(
                table=end._meta.db_table,
                column=end._meta.db_pk_column,
                on_delete=str(relation.on_delete),
                name=f'{through}_ibfk_{number}',
                index=key,
                schema=end._meta.schema or '',
            )
            if relation.db_constraint
            else None,
        )
        for number, (side, (key, end)) in enumerate(zip(('backward', 'forward'), ends, strict=True), start=1)
    )
    keys = tuple(column.name for column in columns)
    unique = (Key(_names._get_index_name('uidx', through, keys), keys, unique=True),) if relation.unique else ()
    return Table(
        model=f'{model.__name__}.{name}',
        name=through,
        columns=columns,
        keys=unique,
        comment=relation.description or '',
        schema=model._meta.schema or '',
    )
