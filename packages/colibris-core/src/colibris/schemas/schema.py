"""The base class of schemas."""

from __future__ import annotations

import marshmallow


class Schema(marshmallow.Schema):
    """Says what goes in and comes out: marshmallow's schema, which runs code that is made for it once."""
