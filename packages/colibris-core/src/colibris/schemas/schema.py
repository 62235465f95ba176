"""The base class of schemas."""

from __future__ import annotations

from typing import Any

import marshmallow
from marshmallow import RAISE
from marshmallow.decorators import PRE_DUMP, PRE_LOAD

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.by_field import LoadFields
from colibris.schemas.compiled.dumping import warm_dumpers
from colibris.schemas.compiled.explaining import Explanation, explain
from colibris.schemas.compiled.loading import kept_loader, warm_loader
from colibris.schemas.compiled.watching import by_marshmallow, judging, may_mislead


class Schema(marshmallow.Schema):
    """Says what goes in and comes out: marshmallow's schema, which runs code that is made for it once.

    Results and errors are marshmallow's. The code is made when the schema has been used a few times, or when a view is
    made that uses it: changes of its fields in place after that are not seen, unless its own hooks make them.
    """

    def load(self, data: Any, *, many: bool | None = None, partial: Any = None, unknown: Any = None) -> Any:
        """Return *data* as the schema makes it; see marshmallow. Raises ValidationError."""
        kept = None if judging.get() else warm_loader(self)
        if kept is None:
            return self._do_load(data, many=many, partial=partial, unknown=unknown)
        if many is None and partial is None and unknown is None:
            return kept.run(data)
        load = kept.whole(many, partial, unknown)
        if load is None:
            return self._do_load(data, many=many, partial=partial, unknown=unknown)
        try:
            return load(data)
        except Exception as exc:
            return kept.judge(exc, data, many=many, partial=partial, unknown=unknown)

    def validate(self, data: Any, *, many: bool | None = None, partial: Any = None) -> dict[str, list[str]]:
        """Return the messages of what is wrong with *data*; see marshmallow."""
        kept = None if judging.get() else warm_loader(self)
        load = None if kept is None else kept.whole(many, partial, None)
        if load is not None:
            try:
                load(data)
            except Exception:
                pass
            else:
                return {}
        return super().validate(data, many=many, partial=partial)

    def explain(self) -> Explanation:
        """Tell, as a text if printed, what of the schema is compiled, what is left to marshmallow, and why."""
        return explain(self)

    def _deserialize(
        self,
        data: Any,
        *,
        error_store: Any,
        many: bool = False,
        partial: Any = None,
        unknown: Any = RAISE,
        index: Any = None,
    ) -> Any:
        options = {'error_store': error_store, 'partial': partial, 'unknown': unknown}
        if judging.get():
            return super()._deserialize(data, many=many, index=index, **options)
        kept = kept_loader(self)
        if may_mislead(self, PRE_LOAD, kept):
            with by_marshmallow():
                return super()._deserialize(data, many=many, index=index, **options)
        if kept is None:
            return super()._deserialize(data, many=many, index=index, **options)
        load = kept.by_field(partial, unknown)
        try:
            if load is None or type(data) is not (list if many else dict):
                return super()._deserialize(data, many=many, index=index, **options)
            return self._loaded(load, data, many, index, options)
        finally:
            kept.watch.remember()

    def _loaded(self, load: LoadFields, data: Any, many: bool, index: Any, options: dict[str, Any]) -> Any:
        """Return what *load* makes of *data*, one dictionary or *many*, some of which may be none."""
        indexed, errors = self.opts.index_errors, options['error_store']
        if not many:
            return load(data, errors, index if indexed else None)
        return [
            load(each, errors, number if indexed else None)
            if type(each) is dict
            else super(Schema, self)._deserialize(each, index=number, **options)
            for number, each in enumerate(data)
        ]

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        if judging.get():
            return super()._serialize(obj, many=many)
        kept = warm_dumpers(self)
        if may_mislead(self, PRE_DUMP, kept):
            with by_marshmallow():
                return super()._serialize(obj, many=many)
        if kept is None:
            return super()._serialize(obj, many=many)
        one = kept.one()
        try:
            if one is None:
                return super()._serialize(obj, many=many)
            return [one(each) for each in obj] if many and obj is not None else one(obj)
        finally:
            kept.watch.remember()


stock.know_schema(Schema)
