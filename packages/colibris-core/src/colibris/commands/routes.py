"""``routes``: what the project answers."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from colibris.commands.context import project_command
from colibris.commands.table import print_table

if TYPE_CHECKING:
    from marshmallow import Schema

    from colibris.endpoints import Endpoint

HEADINGS = ('METHOD', 'PATH', 'VIEW', 'BODY', 'QUERY', 'RESPONSE', 'NEEDS')


@click.command()
@click.option('--json', 'as_json', is_flag=True, help='Write JSON for programs to read.')
@project_command
def routes(as_json: bool) -> None:
    """List method, path, view, schemas and needed permissions of all routes.

    Routes that the project's init() adds while the service starts are not among them.
    """
    from colibris.app import create_app
    from colibris.endpoints import endpoints

    found = [describe(endpoint) for endpoint in endpoints(create_app())]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_table(HEADINGS, (_row(route) for route in found))


def describe(endpoint: Endpoint) -> dict[str, Any]:
    """Return what is known of *endpoint*, as JSON takes it."""
    return {
        'method': endpoint.method,
        'path': endpoint.path,
        'view': endpoint.name,
        'body': _schema_name(endpoint.body_schema),
        'query': _schema_name(endpoint.query_schema),
        'response': _schema_name(endpoint.response_schema, is_list=endpoint.is_list),
        'authentication_required': endpoint.protected,
        'permissions': _permissions(endpoint.permissions),
    }


def _schema_name(schema: Schema | None, *, is_list: bool = False) -> str | None:
    if schema is None:
        return None
    name = type(schema).__name__
    return f'list of {name}' if is_list or schema.many else name


def _permissions(permissions: Any) -> list[str]:
    if not permissions:
        return []
    if isinstance(permissions, str) or not isinstance(permissions, list | tuple | set | frozenset):
        return [_permission(permissions)]
    names = [_permission(permission) for permission in permissions]
    return sorted(names) if isinstance(permissions, set | frozenset) else names


def _permission(permission: Any) -> str:
    if isinstance(permission, str):
        return permission
    return permission.__name__ if inspect.isroutine(permission) or isinstance(permission, type) else str(permission)


def _row(route: dict[str, Any]) -> tuple[str, ...]:
    needs = ', '.join(route['permissions']) or ('an account' if route['authentication_required'] else '-')
    texts = (route[name] or '-' for name in ('method', 'path', 'view', 'body', 'query', 'response'))
    return (*texts, needs)
