"""The fields of schemas: marshmallow's, and one for uploaded files."""

import decimal
from collections import abc
from typing import Any

from aiohttp.web import FileField
from marshmallow import fields as _fields
from marshmallow.fields import *  # noqa: F403

__all__ = [*_fields.__all__, 'File']


class Decimal(_fields.Decimal):  # type: ignore[no-redef]
    """A decimal number of a sensible size: written out, ``1e-999999999`` would fill the memory."""

    #: The most digits before or behind the point that its exponent may make.
    max_exponent = 9999

    def _validated(self, value: Any) -> decimal.Decimal:
        number = super()._validated(value)
        if number.is_finite() and abs(number.adjusted()) > self.max_exponent:
            raise self.make_error('invalid', input=value)
        return number


class File(_fields.Field[FileField]):
    """A file uploaded in a multipart form; its value is aiohttp's FileField (``filename``, ``content_type``, ``file``).

    *max_size* is in bytes, *content_types* lists the media types that are accepted. Both are checked by what the
    client claims and sends; the content itself is not looked into.
    """

    default_error_messages = {  # noqa: RUF012  # declared so by marshmallow
        'invalid': 'Not a file.',
        'too_large': 'Larger than {max_size} bytes.',
        'content_type': 'Must be one of: {choices}.',
    }

    def __init__(
        self, *, max_size: int | None = None, content_types: abc.Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault('load_only', True)
        super().__init__(**kwargs)
        self.max_size = max_size
        self.content_types = tuple(content_types or ())

    def _deserialize(
        self, value: Any, attr: str | None, data: abc.Mapping[str, Any] | None, **kwargs: Any
    ) -> FileField:
        if not isinstance(value, FileField):
            raise self.make_error('invalid')
        if self.content_types and value.content_type not in self.content_types:
            raise self.make_error('content_type', choices=', '.join(self.content_types))
        if self.max_size is not None and _size(value) > self.max_size:
            raise self.make_error('too_large', max_size=self.max_size)
        return value


def _size(upload: FileField) -> int:
    size = upload.file.seek(0, 2)
    upload.file.seek(0)
    return size
