"""Helpers for the tests of a project."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ContextDecorator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from aiohttp import ClientResponse

from colibris import subsystems
from colibris._lazy import hand_on
from colibris.conf import settings

if TYPE_CHECKING:
    from colibris.persist.testqueries import assert_queries as assert_queries

__getattr__ = hand_on(__name__, {'assert_queries': 'colibris.persist.testqueries'}, 'colibris-persist')

F = TypeVar('F', bound=Callable[..., Any])

_ENVELOPE = ('results', 'count', 'pages', 'page', 'page_size')
_ERROR = ('code', 'message', 'details')
_SHOWN = 2000


def assert_is_envelope(
    j: object,
    count: int | None = None,
    *,
    pages: int | None = None,
    page: int | None = None,
    page_size: int | None = None,
) -> None:
    """Assert that *j* is the list envelope, that its numbers agree with one another, and that they are those given.

    *count* is the number of all there are, not of those on the page; a view that does not count gives null for it, and
    for the number of pages. Raises AssertionError, which says what differs.
    """
    __tracebackhide__ = True
    envelope = _with_keys(j, _ENVELOPE, 'list envelope')
    if not isinstance(envelope['results'], list):
        _fail(f'"results" is not a list but {type(envelope["results"]).__name__}', envelope)
    for name, expected in (('count', count), ('pages', pages), ('page', page), ('page_size', page_size)):
        value = envelope[name]
        if expected is None and value is None and name in ('count', 'pages') and envelope['count'] is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            _fail(f'"{name}" is not a whole number: {value!r}', envelope)
        if expected is not None and value != expected:
            _fail(f'"{name}" is {value}, expected {expected}', envelope)
    _check_numbers(envelope)


def _check_numbers(envelope: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    count, pages, page, page_size = (envelope[name] for name in _ENVELOPE[1:])
    if page < 1 or page_size < 1:
        _fail('"page" and "page_size" begin at 1', envelope)
    if count is None:
        if pages is not None or len(envelope['results']) > page_size:
            _fail('"count" is null, so "pages" is null too, and a page has no more results than fit', envelope)
        return
    if pages != -(-count // page_size):
        _fail(f'"pages" is {pages}, but {count} results on pages of {page_size} are {-(-count // page_size)}', envelope)
    on_page = max(0, min(page_size, count - (page - 1) * page_size))
    if len(envelope['results']) != on_page:
        _fail(
            f'"results" has {len(envelope["results"])} members, but page {page} of {count} results, '
            f'{page_size} a page, has {on_page}',
            envelope,
        )


def assert_is_error(j: object, code: str | None = None, *, message: str | None = None, details: object = ...) -> None:
    """Assert that *j* is the error envelope, with that *code*, that text within its message, and these *details*."""
    __tracebackhide__ = True
    envelope = _with_keys(j, _ERROR, 'error envelope')
    for name in ('code', 'message'):
        if not isinstance(envelope[name], str) or not envelope[name]:
            _fail(f'"{name}" is not a text: {envelope[name]!r}', envelope)
    if code is not None and envelope['code'] != code:
        _fail(f'"code" is {envelope["code"]!r}, expected {code!r}', envelope)
    if message is not None and message not in envelope['message']:
        _fail(f'"message" is {envelope["message"]!r}, which does not contain {message!r}', envelope)
    if details is not ... and envelope['details'] != details:
        _fail(f'"details" is {envelope["details"]!r}, expected {details!r}', envelope)


async def read_json(response: ClientResponse, status: int = 200) -> Any:
    """Return the JSON body of *response*; a wrong status is an AssertionError which shows the body."""
    __tracebackhide__ = True
    if response.status != status:
        body = (await response.text())[:_SHOWN]
        raise AssertionError(
            f'{response.method} {response.url.path_qs} answered {response.status}, expected {status}: {body}'
        )
    return await response.json()


def _with_keys(j: object, keys: tuple[str, ...], what: str) -> Mapping[str, Any]:
    __tracebackhide__ = True
    if not isinstance(j, dict):
        if asyncio.iscoroutine(j):
            j.close()
            raise AssertionError(f'not an {what} but a coroutine: await it first')
        _fail(f'not the {what} (an object) but {type(j).__name__}', j)
    missing = [key for key in keys if key not in j]
    extra = [key for key in j if key not in keys]
    if missing or extra:
        parts = [
            f'{text}: {", ".join(map(str, names))}' for text, names in (('missing', missing), ('extra', extra)) if names
        ]
        _fail(f'not the {what} ({"; ".join(parts)})', j)
    return j


def _fail(problem: str, j: object) -> NoReturn:
    __tracebackhide__ = True
    shown = json.dumps(j, default=repr, ensure_ascii=False)
    raise AssertionError(f'{problem}; it is {shown[:_SHOWN]}{"…" if len(shown) > _SHOWN else ""}')


class override_settings(ContextDecorator):  # reads as a statement: with override_settings(...):
    """Give settings other values for a block of code, or for the test or function (sync or async) that it decorates.

    Subsystems stay open from test to test, so their settings cannot be overridden: that is a ValueError.
    """

    def __init__(self, **values: object) -> None:
        self._values = values
        self._active: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        for subsystem in subsystems.opened():
            if subsystem.setting in self._values:
                raise ValueError(
                    f'{subsystem.setting} cannot be overridden in a test: {subsystem.name} is open for the whole run; '
                    f'set it in settings.py, or in the environment'
                )
        override = settings.override(**self._values)
        override.__enter__()
        self._active.append(override)

    def __exit__(self, *exc_info: Any) -> None:
        self._active.pop().__exit__(*exc_info)

    def __call__(self, function: F) -> F:
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def overridden(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return overridden  # type: ignore[return-value]
