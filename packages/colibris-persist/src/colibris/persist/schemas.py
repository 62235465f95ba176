"""Model schemas: schemas whose fields are made from a model's."""

from __future__ import annotations

import sys
from typing import Any

import marshmallow
from marshmallow.schema import SchemaMeta, SchemaOpts
from tortoise.fields import relational
from tortoise.models import Model

from colibris import subsystems
from colibris.conf import settings
from colibris.persist.conversion import is_automatic, is_secret, relation_field, schema_field
from colibris.persist.names import hint
from colibris.persist.subsystem import subsystem
from colibris.schemas import Schema, fields

__all__ = ['ModelSchema']

_OWN_OPTIONS = frozenset({'abstract', 'model', 'read_only', 'read_write', 'write_only'})
_OPTIONS = _OWN_OPTIONS | {
    name for name in marshmallow.Schema.Meta.__annotations__ if not name.startswith('_')
}  # marshmallow declares its options there


class ModelSchemaOpts(SchemaOpts):
    """The options of a model schema's ``class Meta``."""

    def __init__(self, meta: type) -> None:
        super().__init__(meta)
        self.abstract: bool = vars(meta).get('abstract', False)
        self.model: type[Model] | None = getattr(meta, 'model', None)
        #: The names in `Meta.fields`. Marshmallow's own option of that name stays empty: with it, fields that are
        #: declared by hand and not named there would be dropped without a word.
        self.named: tuple[str, ...] = tuple(self.fields)
        self.fields = ()
        self.read_write: tuple[str, ...] = tuple(getattr(meta, 'read_write', ()))
        self.dump_only = (*self.dump_only, *getattr(meta, 'read_only', ()))
        self.load_only = (*self.load_only, *getattr(meta, 'write_only', ()))


class ModelSchemaMeta(SchemaMeta):
    """Checks what a model schema says about itself, and makes its fields as soon as the model is complete."""

    opts: ModelSchemaOpts
    #: The fields that were written by hand, here or in a base.
    by_hand: dict[str, fields.Field[Any]]
    #: The names of those that were made from the model.
    made: frozenset[str]

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> ModelSchemaMeta:
        own = {key: value for key, value in attrs.items() if isinstance(value, fields.Field)}
        _check_listed(name, attrs.get('Meta'))
        cls: ModelSchemaMeta = super().__new__(mcs, name, bases, attrs)  # type: ignore[assignment]
        cls.by_hand = {**_inherited(cls), **own}
        cls.made = frozenset()
        cls._declared_fields = dict(cls.by_hand)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> None:
        super().__init__(name, bases, attrs)  # type: ignore[no-untyped-call]
        cls.is_complete = False
        if cls.__module__ == __name__ or cls.opts.abstract:
            return
        _check_options(cls)
        if cls.opts.model._meta._inited:  # type: ignore[union-attr]
            cls.complete()

    def complete(cls) -> None:
        """Make the fields that `Meta.fields` names; done once, at the latest for the first instance.

        Relations that point to a model are known only when all models are: that is why it may have to wait.
        """
        if cls.is_complete:
            return
        if cls.opts.model is None:
            raise TypeError(f'{cls.__qualname__} is abstract: use a subclass whose class Meta has a model and fields')
        if not cls.opts.model._meta._inited:
            _set_up_models()
        made = {name: _make(cls, name) for name in cls.opts.named if name not in cls.by_hand}
        for name, field in cls.by_hand.items():
            if _nests_relation(cls, name, field) and name not in cls.opts.read_write:
                field.dump_only = True
                field.allow_none = field.allow_none or _may_be_none(cls, field.attribute or name)
        named = {name: cls.by_hand.get(name) or made[name] for name in cls.opts.named}
        cls._declared_fields = {**named, **{key: field for key, field in cls.by_hand.items() if key not in named}}
        cls.made = frozenset(made)
        _check_names(cls)
        cls.is_complete = True


def _set_up_models() -> None:
    """Relate the project's models to one another, if that can be done by now."""
    if not (settings.loaded and settings.is_set(subsystem.setting)):
        return
    for name in subsystems.model_modules():
        spec = getattr(sys.modules.get(name), '__spec__', None)
        if spec is None or getattr(spec, '_initializing', False):
            return  # not all models are there yet
    subsystem.prepare()


def _where(cls: ModelSchemaMeta) -> str:
    return f'{cls.__module__}.{cls.__qualname__}'


def _inherited(cls: ModelSchemaMeta) -> dict[str, fields.Field[Any]]:
    """Collect the fields that the bases declare; of a model schema with other `Meta.fields`, only what is named."""
    found: dict[str, fields.Field[Any]] = {}
    for base in reversed(cls.__bases__):
        if isinstance(base, ModelSchemaMeta):
            narrowed = base.opts.model is not None and base.opts.named != cls.opts.named
            found |= {name: field for name, field in base.by_hand.items() if not narrowed or name in cls.opts.named}
        else:
            declared = getattr(base, '_declared_fields', vars(base))
            found |= {name: field for name, field in declared.items() if isinstance(field, fields.Field)}
    return found


def _check_listed(name: str, meta: type | None) -> None:
    listed = getattr(meta, 'fields', ())
    if isinstance(listed, str) or '__all__' in listed:
        raise TypeError(
            f'{name}: Meta.fields must list the names of the fields one by one, not {listed!r}; there is no way to '
            'say "all", so that a new column is never published unseen'
        )


def _check_options(cls: ModelSchemaMeta) -> None:
    for option in vars(cls.Meta):
        if not option.startswith('_') and option not in _OPTIONS:
            raise TypeError(f'{_where(cls)}: class Meta has no option {option!r}{hint(option, _OPTIONS)}')
    model = cls.opts.model
    if not (isinstance(model, type) and issubclass(model, Model)):
        given = f', not {model!r}' if model is not None else ''
        raise TypeError(f'{_where(cls)}: class Meta must have "model", the model whose fields it shows{given}')
    if not cls.opts.named:
        raise TypeError(
            f'{_where(cls)}: class Meta must have "fields", a list of the names of the fields of {model.__name__} '
            'that it shows'
        )


def _check_names(cls: ModelSchemaMeta) -> None:
    for option in ('read_only', 'write_only', 'read_write'):
        for name in getattr(cls.Meta, option, ()):
            if name not in cls._declared_fields:
                close = hint(name, cls._declared_fields)
                raise TypeError(f'{_where(cls)}: Meta.{option} names {name!r}, which is no field of it{close}')


def _make(cls: ModelSchemaMeta, name: str) -> fields.Field[Any]:
    """Make the field *name* from the model."""
    model: type[Model] = cls.opts.model  # type: ignore[assignment]
    meta = model._meta
    if name not in meta.fields_map and not meta._inited:
        raise TypeError(
            f'{_where(cls)} needs the relations of {model.__name__} for its field {name!r}, and the models are not set '
            'up yet: make instances of schemas in functions or views, not while modules are imported'
        )
    if name not in meta.fields_map:
        if hasattr(model, name):
            raise TypeError(
                f'{_where(cls)}: {model.__name__}.{name} is no column and no relation; declare in the schema what it '
                f'is: {name} = fields.String(dump_only=True), for instance'
            )
        raise TypeError(f'{_where(cls)}: {model.__name__} has no field {name!r}{hint(name, meta.fields_map)}')
    if name in meta.fetch_fields:
        if not meta._inited:
            raise TypeError(
                f'{_where(cls)} needs to know what {model.__name__}.{name} relates to, and the models are not set up '
                'yet: make instances of schemas in functions or views, not while modules are imported'
            )
        field = relation_field(model, name)
    else:
        column = meta.fields_map[name]
        free = name in cls.opts.read_write
        field = schema_field(
            column,
            dump_only=is_automatic(column) and not free,
            load_only=is_secret(name) and not free and not is_automatic(column),
        )
    return field


def _may_be_none(cls: ModelSchemaMeta, name: str) -> bool:
    """Whether there may be no object at the other end of a relation."""
    field = cls.opts.model._meta.fields_map[name]  # type: ignore[union-attr]
    to_one = isinstance(field, (relational.ForeignKeyFieldInstance, relational.BackwardOneToOneRelation))
    return to_one and field.null


def _nests_relation(cls: ModelSchemaMeta, name: str, field: fields.Field[Any]) -> bool:
    while isinstance(field, fields.List):
        field = field.inner
    return isinstance(field, fields.Nested) and (field.attribute or name) in cls.opts.model._meta.fetch_fields  # type: ignore[union-attr]


class ModelSchema(Schema, metaclass=ModelSchemaMeta):
    """A schema whose fields are made from those of a model.

    ``class Meta`` has ``model`` and ``fields``, the names of what is shown: columns, and relations, which stand for
    the ids of what they relate to. A field that is declared in the class wins over the one that would be made, and is
    part of the schema whether it is named or not. A relation that is declared as ``fields.Nested`` is dumped, and
    loaded only if ``read_write`` names it.

    Primary keys that the database makes and ``auto_now`` columns are only dumped, columns with names of passwords and
    keys only loaded; ``read_only``, ``write_only`` and ``read_write`` in ``class Meta`` list names for which it is
    to be otherwise.
    """

    OPTIONS_CLASS = ModelSchemaOpts

    def __init__(self, **options: Any) -> None:
        type(self).complete()
        super().__init__(**options)
