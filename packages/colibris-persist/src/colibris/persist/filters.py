"""Filters: which query parameters a list takes, and what they select."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tortoise.expressions import Q, Subquery
from tortoise.fields import base, data, relational
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris.persist import columns, matching
from colibris.persist.conversion import is_secret, schema_field, storage_validators
from colibris.persist.names import hint
from colibris.schemas import ValidationError, fields, validate

__all__ = ['ModelFilter']

#: The most values that ``?field__in=`` takes, and the longest text, of the most words, that ``?search=`` does.
MAX_VALUES = 100
MAX_SEARCH_LENGTH = 200
MAX_WORDS = 10
MAX_PATTERN_LENGTH = 1000

# Tortoise's names for our operators.
_TORTOISE = {'eq': '', 'not': '__not', 'gt': '__gt', 'ge': '__gte', 'lt': '__lt', 'le': '__lte', 'in': '__in'}
_EQUALITY = ('eq', 'not', 'in', 'null')
_ORDER = ('gt', 'ge', 'lt', 'le')
_PARTS = ('like', 'ilike', 'regexp')
OPERATORS = ('eq', 'not', 'gt', 'ge', 'lt', 'le', 'like', 'ilike', 'in', 'null', 'regexp')

_MEANINGS = {
    'eq': 'is equal to this',
    'not': 'is not equal to this, or null',
    'gt': 'is greater than this',
    'ge': 'is greater than or equal to this',
    'lt': 'is less than this',
    'le': 'is less than or equal to this',
    'like': 'contains this text, in the same case',
    'ilike': 'contains this text, in any case',
    'in': 'is equal to one of these, separated by commas',
    'null': 'is null (true) or not null (false)',
    'regexp': "matches this regular expression of the database's",
}


class CommaSeparated(fields.List[Any]):
    """Several values in one parameter, separated by commas; the parameter may be repeated as well."""

    #: Tells the documentation how the values are written.
    delimiter = ','

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        given = [value] if isinstance(value, str) else value
        parts = [part for each in given for part in str(each).split(self.delimiter)]
        return super()._deserialize(parts, attr, data, **kwargs)


class Order(CommaSeparated):
    """Names to order by, a descending one with ``-`` before it; each at most once."""

    default_error_messages = {  # noqa: RUF012  # declared so by marshmallow
        'unknown': 'Cannot order by {name!r}. Must be one of: {names}; with - before it for descending order.',
        'twice': 'Orders by {name!r} twice.',
    }

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        choices = [sign + name for name in names for sign in ('', '-')]
        super().__init__(fields.String(metadata={'enum': choices}), **kwargs)
        self.names = tuple(names)

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe that each name is given at most once, for the documentation of the API."""
        once = [{'contains': {'enum': [name, f'-{name}']}, 'minContains': 0, 'maxContains': 1} for name in self.names]
        return {'type': 'array', 'allOf': once}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        order = super()._deserialize(value, attr, data, **kwargs)
        seen = set()
        for name in (each.removeprefix('-') for each in order):
            if name not in self.names:
                raise self.make_error('unknown', name=name, names=', '.join(self.names))
            if name in seen:
                raise self.make_error('twice', name=name)
            seen.add(name)
        return order


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a filter names, possibly one of a related model."""

    #: The model that the filter is for.
    model: type[Model]
    #: As the filter writes it, and as Tortoise does; both with ``__`` between a relation and what it leads to.
    name: str
    path: str
    field: base.Field[Any]
    #: Whether several rows may be meant, so that a join would repeat the row that is looked for.
    is_many: bool

    @property
    def is_text(self) -> bool:
        enum = (data.CharEnumFieldInstance,)
        return isinstance(self.field, (data.CharField, data.TextField)) and not isinstance(self.field, enum)

    @property
    def is_reference(self) -> bool:
        """Whether it is a relation, told by ids."""
        return '__' not in self.name and (self.is_many or self.field.reference is not None)

    def operators(self) -> tuple[str, ...]:
        """Return the operators that make sense for the column."""
        if isinstance(self.field, (data.JSONField, data.BinaryField)):
            return ('null',)
        enums = (data.CharEnumFieldInstance, data.IntEnumFieldInstance)
        if isinstance(self.field, (data.BooleanField, data.UUIDField, *enums)) or self.is_reference:
            return _EQUALITY
        return (*_EQUALITY, *_ORDER, *(_PARTS if self.is_text else ()))

    def value_field(self, operator: str) -> fields.Field[Any]:
        """Return the schema field that checks the value to compare with."""
        if operator == 'null':
            return fields.Boolean()
        if operator in _PARTS:
            return fields.String(validate=[columns.Storable(), validate.Length(min=1, max=MAX_PATTERN_LENGTH)])
        one = schema_field(
            self.field,
            required=False,
            allow_none=False,
            dump_only=False,
            load_only=False,
            metadata={},
            validate=list(storage_validators(self.field)),
        )
        if operator == 'in':
            return CommaSeparated(one, validate=validate.Length(max=MAX_VALUES))
        return one

    def condition(self, operator: str, value: Any) -> Q:
        """Return what selects the rows."""
        if not self.is_many:
            return self._condition(operator, value)
        if operator in ('not', 'null'):
            negated = value if operator == 'null' else True
            inner = self._exists() if operator == 'null' else self._condition('eq', value)
            found = Q(pk__in=self._subquery(inner))
            return ~found if negated else found
        return Q(pk__in=self._subquery(self._condition(operator, value)))

    def _condition(self, operator: str, value: Any) -> Q:
        if operator == 'null':
            conditions: dict[str, Any] = {f'{self.path}__isnull': value}
            return Q(**conditions)
        if self.is_text:
            return matching.TextQ(self.path, operator, value)
        return Q(**{self.path + _TORTOISE[operator]: value})

    def _exists(self) -> Q:
        conditions: dict[str, Any] = {f'{self.path}__not_isnull': True}
        return Q(**conditions)

    def _subquery(self, condition: Q) -> Subquery:
        return Subquery(self.model.filter(condition).values_list(self.model._meta.pk_attr))


def _check_words(search: str) -> None:
    if len(search.split()) > MAX_WORDS:
        raise ValidationError(f'No more than {MAX_WORDS} words.')


def column(model: type[Model], name: str) -> Column:
    """Find the column that a filter of *model* calls *name*. Raises LookupError with a message that names it."""
    first, _, rest = name.partition('__')
    field = model._meta.fields_map.get(first)
    if field is None:
        raise LookupError(f'{model.__name__} has no field {first!r}{hint(first, model._meta.fields_map)}')
    if not isinstance(field, relational.RelationalField):
        if rest:
            raise LookupError(f'{model.__name__}.{first} is no relation, so that {name!r} leads nowhere')
        return Column(model, name, first, field, is_many=False)
    many = isinstance(field, (relational.ManyToManyFieldInstance, relational.BackwardFKRelation))
    related: type[Model] = field.related_model
    if not rest and not many:
        path = str(field.source_field)
        return Column(model, name, path, model._meta.fields_map[path], is_many=False)
    rest = rest or related._meta.pk_attr
    target = related._meta.fields_map.get(rest)
    if isinstance(target, relational.ForeignKeyFieldInstance):
        rest = str(target.source_field)
        target = related._meta.fields_map[rest]
    if target is None or isinstance(target, relational.RelationalField):
        reason = f'{related.__name__} has no column {rest!r}{hint(rest, related._meta.fields_db_projection)}'
        raise LookupError(f'{name!r} does not lead to a column across one relation: {reason}')
    return Column(model, name, f'{first}__{rest}', target, is_many=many)


class ModelFilter:
    """Which query parameters a list of a model takes.

    ``class Meta`` has ``model`` and any of

    - ``fields``: names, which then are compared for equality, or a dictionary of names and lists of operators out of
      eq, not, gt, ge, lt, le, like, ilike, in, null and regexp. The parameter of an operator is ``name__operator``,
      that of eq is ``name``. A column of a related model is called ``relation__name``;
    - ``ordering``: names that ``?order=-created,name`` may order by;
    - ``search``: names of texts in which ``?search=`` looks for each of its words, in any case;
    - ``order``: the order where none is asked for.

    A field of a schema that is declared in the class is a parameter of its own; the method
    ``filter_NAME(query, value)`` says what it selects. An instance is made once, at start-up.
    """

    ORDER: ClassVar[str] = 'order'
    SEARCH: ClassVar[str] = 'search'

    def __init__(self, *, dialect: str | None = None) -> None:
        meta = self._meta()
        self.model: type[Model] = meta.model
        self.dialect = dialect
        #: The parameters, by name.
        self.fields: dict[str, fields.Field[Any]] = {}
        self._conditions: dict[str, tuple[Column, str]] = {}
        self._orders: dict[str, str] = {}
        self._searched: list[Column] = []
        self._own: dict[str, Callable[[QuerySet[Any], Any], QuerySet[Any]]] = {}
        for name, operators in self._declared_columns(getattr(meta, 'fields', ())):
            self._add_column(name, operators)
        self._add_order(getattr(meta, 'ordering', ()))
        self._add_search(getattr(meta, 'search', ()))
        for name in dir(type(self)):
            if isinstance(field := getattr(self, name), fields.Field):
                self._add_own(name, field)
        self._default_order = tuple(map(self._order, getattr(meta, 'order', ())))

    def apply(self, query: QuerySet[Any], args: Mapping[str, Any]) -> QuerySet[Any]:
        """Return *query* with what *args*, the checked query parameters, ask for; others than its own are ignored."""
        conditions = [
            found.condition(operator, args[name])
            for name, (found, operator) in self._conditions.items()
            if name in args
        ]
        if self._searched:
            conditions += map(self._matches, args.get(self.SEARCH, '').split())
        if conditions:
            query = query.filter(*conditions)
        for name, select in self._own.items():
            if name in args:
                query = select(query, args[name])
        order = self._asked(args.get(self.ORDER, ())) if self._orders else ()
        order = order or self._default_order
        return query.order_by(*order) if order else query

    def patterns(self, args: Mapping[str, Any]) -> list[str]:
        """Return the parameters among *args* that hold regular expressions, which only the database can check."""
        return [name for name, (_, operator) in self._conditions.items() if operator == 'regexp' and name in args]

    def _asked(self, order: Iterable[str]) -> tuple[str, ...]:
        return tuple(('-' if name.startswith('-') else '') + self._orders[name.removeprefix('-')] for name in order)

    def _matches(self, word: str) -> Q:
        return Q(*(found.condition('ilike', word) for found in self._searched), join_type=Q.OR)

    def _meta(self) -> Any:
        meta = getattr(type(self), 'Meta', None)
        model = getattr(meta, 'model', None)
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise self._error('class Meta must have "model", the model that it filters')
        known = ('fields', 'model', 'order', 'ordering', 'search')
        for option in vars(meta):
            if not option.startswith('_') and option not in known:
                raise self._error(f'class Meta has no option {option!r}{hint(option, known)}')
        return meta

    def _error(self, message: str) -> TypeError:
        return TypeError(f'{type(self).__module__}.{type(self).__qualname__}: {message}')

    def _column(self, option: str, name: object) -> Column:
        if not isinstance(name, str):
            raise self._error(f'Meta.{option} must list names of fields, not {name!r}')
        try:
            return column(self.model, name)
        except LookupError as exc:
            raise self._error(f'Meta.{option}: {exc}') from exc

    def _declared_columns(self, declared: Any) -> Iterable[tuple[str, Sequence[str]]]:
        if isinstance(declared, str):
            raise self._error(f'Meta.fields must be a list or a dictionary, not {declared!r}')
        if not isinstance(declared, Mapping):
            return [(name, ('eq',)) for name in declared]
        return [(name, (given,) if isinstance(given, str) else tuple(given)) for name, given in declared.items()]

    def _add_column(self, name: str, operators: Sequence[str]) -> None:
        found = self._column('fields', name)
        for operator in operators:
            if operator not in OPERATORS:
                raise self._error(f'{name!r}: there is no operator {operator!r}{hint(operator, OPERATORS)}')
            if operator not in found.operators():
                allowed = ', '.join(found.operators())
                raise self._error(f'{name!r} cannot be filtered by {operator!r}; for this column there are: {allowed}')
            if operator == 'regexp' and self.dialect == 'sqlite':
                raise self._error(f'{name!r} is filtered by regexp, which SQLite does not have; use like or ilike')
            field = found.value_field(operator)
            field.metadata = {**field.metadata, 'description': f'Only those whose {name} {_MEANINGS[operator]}.'}
            parameter = name if operator == 'eq' else f'{name}__{operator}'
            self._add_parameter(parameter, field)
            self._conditions[parameter] = (found, operator)

    def _add_order(self, names: Sequence[str]) -> None:
        if not names:
            return
        self._orders = {name: self._order(name) for name in names}
        description = 'What to order by, separated by commas; - before a name is for descending order.'
        self._add_parameter(self.ORDER, Order(list(self._orders), metadata={'description': description}))

    def _order(self, name: str) -> str:
        sign = '-' if str(name).startswith('-') else ''
        found = self._column('ordering', str(name).removeprefix('-'))
        if found.is_many or isinstance(found.field, (data.JSONField, data.BinaryField)):
            raise self._error(f'Meta.ordering: {name!r} has no order')
        return sign + found.path

    def _add_search(self, names: Sequence[str]) -> None:
        if not names:
            return
        self._searched = [self._column('search', name) for name in names]
        for found in self._searched:
            if not found.is_text or is_secret(found.name):
                raise self._error(f'Meta.search: {found.name!r} is no text that can be searched')
        description = f'Words each of which must occur in one of: {", ".join(names)}.'
        self._add_parameter(
            self.SEARCH,
            fields.String(
                validate=[columns.Storable(), validate.Length(max=MAX_SEARCH_LENGTH), _check_words],
                metadata={'description': description},
            ),
        )

    def _add_own(self, name: str, field: fields.Field[Any]) -> None:
        method = getattr(self, f'filter_{name}', None)
        if not callable(method):
            raise self._error(f'the parameter {name!r} needs a method filter_{name}(self, query, value)')
        self._add_parameter(name, field)
        self._own[name] = method

    def _add_parameter(self, name: str, field: fields.Field[Any]) -> None:
        if name in self.fields:
            raise self._error(f'there are two query parameters called {name!r}; drop one or declare it by another name')
        self.fields[name] = field
