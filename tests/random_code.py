"""Code as the users of schemas write it: fields, a validator, hooks and overridden methods, for random schemas."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import marshmallow
from marshmallow import ValidationError, fields


class Custom(fields.Field[Any]):
    """A field that nobody knows."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return [attr, value, type(obj).__name__]

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            raise ValidationError('No truth here.')
        return (attr, value, sorted(kwargs.items(), key=repr))


class Shouting(fields.String):
    """A subclass of a known field."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).upper()


def is_even(value: Any) -> None:
    if not isinstance(value, (int, float, Decimal)) or value % 2:
        raise ValidationError('Not even.')


class _Hooks:
    @marshmallow.pre_load
    def before_load(self, data: Any, **kwargs: Any) -> Any:
        return {**data, 'a': 'abc'} if isinstance(data, dict) else data

    @marshmallow.post_load
    def after_load(self, data: Any, **kwargs: Any) -> Any:
        return ('loaded', data, sorted(kwargs))

    @marshmallow.pre_dump
    def before_dump(self, obj: Any, **kwargs: Any) -> Any:
        return obj

    @marshmallow.post_dump(pass_original=True)
    def after_dump(self, data: Any, original: Any, **kwargs: Any) -> Any:
        return {**data, 'type': type(original).__name__}

    @marshmallow.validates('a')
    def check_a(self, value: Any, data_key: str) -> None:
        if value == 'abc':
            raise ValidationError(f'{data_key} is abc.')

    @marshmallow.validates_schema(pass_original=True)
    def check_all(self, data: Any, original: Any, **kwargs: Any) -> None:
        if len(data) == 2:
            raise ValidationError('Two.', 'b')

    def handle_error(self, error: ValidationError, data: Any, **kwargs: Any) -> None:
        if isinstance(error.messages, dict):
            error.messages['handled'] = sorted(kwargs)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        return marshmallow.utils.get_value(obj, attr, 'absent')

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.allow_none = True


HOOKS = [{name: value} for name, value in vars(_Hooks).items() if not name.startswith('__')]
HOOKS += [{name: value for hook in HOOKS for name, value in hook.items() if name != 'on_bind_field'}]
