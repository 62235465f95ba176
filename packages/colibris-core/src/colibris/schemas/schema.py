"""The base class of schemas."""

from __future__ import annotations

from typing import Any

import marshmallow
from marshmallow import RAISE

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.dumping import warm_dumpers
from colibris.schemas.compiled.explaining import Explanation, explain
from colibris.schemas.compiled.loading import judging, kept_loader, warm_loader


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
        kept = None if judging.get() else kept_loader(self)
        load = None if kept is None else kept.by_field(partial, unknown)
        if load is None or type(data) is not (list if many else dict):
            return super()._deserialize(
                data, error_store=error_store, many=many, partial=partial, unknown=unknown, index=index
            )
        if not many:
            return load(data, error_store, index if self.opts.index_errors else None)
        indexed = self.opts.index_errors
        options = {'error_store': error_store, 'partial': partial, 'unknown': unknown}
        return [
            load(each, error_store, number if indexed else None)
            if type(each) is dict
            else super(Schema, self)._deserialize(each, index=number, **options)
            for number, each in enumerate(data)
        ]

    def _serialize(self, obj: Any, *, many: bool = False) -> Any:
        kept = warm_dumpers(self)
        one = None if kept is None else kept.one()
        if one is None:
            return super()._serialize(obj, many=many)
        return [one(each) for each in obj] if many and obj is not None else one(obj)


stock.know_schema(Schema)
