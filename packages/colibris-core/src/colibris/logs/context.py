"""What a line of the log is about: the request that is being answered, wherever its code runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

#: The header in which the id of a request travels: in requests, in answers, in mails.
REQUEST_ID_HEADER = 'X-Request-ID'

#: The id of the request that the running code works for, for what runs for each request.
REQUEST_ID: ContextVar[str | None] = ContextVar('colibris_request_id', default=None)

#: Gives the trace that the running code belongs to; there is none unless TRACING is set.
_trace_source: Callable[[], str | None] | None = None


def current_request_id() -> str | None:
    """Return the id of the request that the running code works for, in tasks and mails, too; None if there is none."""
    return REQUEST_ID.get()


def set_request_id(value: str | None) -> Token[str | None]:
    """Let what runs from now on work for the request *value*; for whoever carries it on."""
    return REQUEST_ID.set(value)


@contextmanager
def working_for(request_id: str | None) -> Iterator[None]:
    """Let a block work for the request *request_id*, such as a task that it has sent."""
    token = REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        REQUEST_ID.reset(token)


def set_trace_source(source: Callable[[], str | None] | None) -> None:
    """Let *source* tell the id of the current trace."""
    global _trace_source
    _trace_source = source


def current_trace_id() -> str | None:
    """Return the id of the trace that the running code belongs to; None if there is none."""
    return None if _trace_source is None else _trace_source()


def context() -> dict[str, Any]:
    """Return what is known now of the request: its id, trace, method, route and account."""
    from colibris.requests import current_request

    found: dict[str, Any] = {}
    if (request_id := REQUEST_ID.get()) is not None:
        found['request_id'] = request_id
    if (trace_id := current_trace_id()) is not None:
        found['trace_id'] = trace_id
    request = current_request.get()
    if request is not None:
        found.update(of_request(request))
    return found


def of_request(request: Any) -> dict[str, Any]:
    """Return method and route of *request*, and whose it is. The path itself may hold secrets, the route cannot."""
    from colibris.security import ACCOUNT, NOBODY, account_key

    found = {'method': request.method, 'route': route_of(request)}
    account = request._state.get(ACCOUNT, NOBODY)
    if account is not NOBODY and (key := account_key(account)) is not None:
        found['account'] = key
    return found


def route_of(request: Any) -> str | None:
    """Return the template of the route that *request* goes to, such as ``/items/{id}``; None where there is none."""
    match_info = getattr(request, '_match_info', None)  # what is malformed has none
    return None if match_info is None else template_of(match_info._route)


def template_of(route: object) -> str | None:
    """Return the template of *route*; None if it has none, as that of what is not found."""
    resource = getattr(route, 'resource', None)
    return None if resource is None else resource.canonical
