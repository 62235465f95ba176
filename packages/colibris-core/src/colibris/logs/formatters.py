"""How lines are written: as text for people, as JSON for programs; secrets are masked in both."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from colibris.conf.masking import mask, unshown
from colibris.logs.context import context

_encode = msgspec.json.Encoder(enc_hook=str).encode

#: What each record has; the rest was given as ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {'message', 'asctime', 'taskName'}

#: What each line begins with; what is given as ``extra`` does not replace it.
_FIRST = frozenset({'time', 'level', 'logger', 'message'})

#: How large an integer may be: of much larger ones Python makes no text (`sys.set_int_max_str_digits`).
_MOST_BITS = 2048

#: The second of the last line, and how it is written.
_second = (0, '')

_MILLISECONDS = tuple(f'.{number:03d}+00:00' for number in range(1000))


def timestamp(seconds: float) -> str:
    """Return the time *seconds* as ISO 8601, in UTC, to the millisecond."""
    global _second
    whole = int(seconds)
    if _second[0] != whole:
        _second = whole, datetime.fromtimestamp(whole, UTC).strftime('%Y-%m-%dT%H:%M:%S')
    return _second[1] + _MILLISECONDS[int((seconds - whole) * 1000)]


class TextFormatter(logging.Formatter):
    """One line for each record, and further ones for a traceback, with the id of the request at the end."""

    def __init__(self) -> None:
        super().__init__('%(asctime)s %(levelname)-8s %(name)s: %(message)s')

    def formatMessage(self, record: logging.LogRecord) -> str:  # logging's name
        line = super().formatMessage(record)
        if isinstance(duration := getattr(record, 'duration', None), float):  # of a request, by the access log
            line = f'{line} in {duration * 1000:.1f} ms'
        request_id = getattr(record, 'request_id', None) or context().get('request_id')
        return f'{line} [{request_id}]' if request_id else line

    def format(self, record: logging.LogRecord) -> str:
        return str(mask(super().format(record)))


class JSONFormatter(logging.Formatter):
    """One JSON object in one line for each record.

    It has ``time`` (ISO 8601, UTC), ``level``, ``logger`` and ``message``; while a request is answered ``request_id``,
    ``trace_id``, ``method``, ``route`` and ``account``, as far as they are known; what was given as ``extra``; and
    ``exception`` with a traceback. Secrets are masked by their names, and where texts show them.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            'time': timestamp(record.created),
            'level': record.levelname,
            'logger': record.name,
            'message': mask(record.getMessage()),
        }
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if 'route' not in given:  # otherwise the record says itself which request it is about
            line.update(context())
        line.update({name: mask(value, name) for name, value in given.items() if name not in _FIRST})
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line['exception'] = mask(record.exc_text)
        if record.stack_info:
            line['stack'] = mask(self.formatStack(record.stack_info))
        return encoded(line)


def encoded(line: dict[str, Any]) -> str:
    """Return *line* as JSON; what has no JSON as text."""
    try:
        return _encode(line).decode()
    except Exception:  # halves of characters, keys that are no text, what cannot be shown
        return json.dumps({name: value if _is_plain(value) else _shown(value) for name, value in line.items()})


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception as exc:  # one line too little is worse than one that does not say all
        return unshown(value, exc)
