"""The commands for accounts: ``createaccount`` and ``createapikey``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from colibris.commands import CommandError, project_command

if TYPE_CHECKING:
    from tortoise.models import Model

#: Which field of an account a NAME goes into, where the backend names none.
_NAMES = ('username', 'email', 'name')


@click.command()
@click.argument('name')
@click.option('--role', metavar='ROLE', help='The role of the account, where AUTHORIZATION goes by roles.')
@click.option(
    '--set', 'given', multiple=True, metavar='FIELD=VALUE', help='The value of another field; may be given repeatedly.'
)
@click.option('--exist-ok', is_flag=True, help='Do nothing if there is such an account.')
@project_command
async def createaccount(name: str, role: str | None, given: tuple[str, ...], exist_ok: bool) -> None:
    """Make the account NAME. Its API key is printed, this once; or its password is asked for, if it has one."""
    from colibris import persist
    from colibris.authentication import create_api_key
    from colibris.authentication.subsystem import subsystem

    async with _opened() as model:
        field = _name_field(model)
        values = {field: name, **dict(_split(each) for each in given), **_role(role)}
        row = _checked(model, values)
        if await model.filter(**{field: name}).exists():
            if exist_ok:
                return
            raise CommandError(f'there is a {model.__name__} whose {field} is {name!r} already')
        has_keys = hasattr(subsystem.backend, 'create_key')
        if not has_keys:
            row |= await _password(model)
        _check_complete(model, row)
        async with persist.transaction():
            account = await model.create(**row)
            key = await create_api_key(account) if has_keys else None
    click.echo(f'Made the {model.__name__} {name!r}.', err=True)
    if key is not None:
        _show(key)


@click.command()
@click.argument('name')
@click.option('--label', default='', metavar='TEXT', help='What the key is called.')
@click.option('--scope', 'scopes', multiple=True, metavar='PERMISSION', help='The key is good only for this, and more.')
@click.option('--days', type=click.FloatRange(min=0, min_open=True), help='For how many days it is good.')
@project_command
async def createapikey(name: str, label: str, scopes: tuple[str, ...], days: float | None) -> None:
    """Make an API key of the account NAME, and print it, this once.

    It is one more, but where accounts keep their key in a field of their own: there it replaces the one before.
    """
    from colibris.authentication import create_api_key

    async with _opened() as model:
        field = _name_field(model)
        account = await model.filter(**{field: name}).get_or_none()
        if account is None or getattr(account, field) != name:
            raise CommandError(f'there is no {model.__name__} whose {field} is {name!r}')
        try:
            key = await create_api_key(
                account,
                name=label,
                scopes=list(scopes) or None,
                validity_seconds=None if days is None else days * 24 * 3600,
            )
        except ValueError as exc:
            raise CommandError(str(exc)) from exc
    _show(key)


def _show(key: str) -> None:
    click.echo('Its API key, which cannot be shown again:', err=True)
    click.echo(key)


@asynccontextmanager
async def _opened() -> AsyncIterator[type[Model]]:
    """Open the subsystems and give the model of the accounts."""
    from colibris import subsystems
    from colibris.authentication.subsystem import subsystem
    from colibris.conf import settings

    if not settings.is_set(subsystem.setting):
        raise CommandError('AUTHENTICATION is not set: there are no accounts')
    async with subsystems.running():
        model: Any = subsystem.backend.account_model
        if model is None:
            raise CommandError('AUTHENTICATION has no model: the accounts are not kept here')
        try:
            await model.all().exists()
        except Exception as exc:
            raise CommandError(f'the table of {model.__name__} cannot be read: {exc}. Run "migrate" first?') from exc
        yield model


def _name_field(model: type[Model]) -> str:
    from colibris.authentication.subsystem import subsystem

    columns = model._meta.fields_db_projection
    said = (getattr(subsystem.backend, option, '') for option in ('login_field', 'identity_field'))
    for name in (*said, *_NAMES):
        if name in columns and name != model._meta.pk_attr:
            return str(name)
    raise CommandError(f'no field of {model.__name__} is for the name of an account: set identity_field')


def _split(given: str) -> tuple[str, str]:
    name, separator, value = given.partition('=')
    if not separator:
        raise CommandError(f'--set takes FIELD=VALUE, not {given!r}')
    return name, value


def _role(role: str | None) -> dict[str, str]:
    if role is None:
        return {}
    from colibris.authorization.role import RoleBackend
    from colibris.authorization.subsystem import subsystem

    if not (subsystem.is_open and isinstance(subsystem.backend, RoleBackend)):
        raise CommandError("--role is for AUTHORIZATION by the backend 'role'; use --set FIELD=VALUE")
    try:
        subsystem.backend.check_permission(role)
    except ValueError as exc:
        raise CommandError(str(exc)) from exc
    return {subsystem.backend.role_field: role}


def _checked(model: type[Model], values: dict[str, str]) -> dict[str, Any]:
    """Return the values of columns that the texts in *values* stand for."""
    from marshmallow import ValidationError

    from colibris.persist.conversion import schema_field

    checked = {}
    for name, value in values.items():
        if name not in model._meta.fields_db_projection:
            raise CommandError(f'{model.__name__} has no column {name!r}')
        try:
            checked[name] = schema_field(model._meta.fields_map[name]).deserialize(value)
        except ValidationError as exc:
            raise CommandError(f'{name}: {" ".join(map(str, exc.messages))}') from exc
    return checked


async def _password(model: type[Model]) -> dict[str, str]:
    from colibris.authentication import hash_password
    from colibris.authentication.subsystem import subsystem

    field = getattr(subsystem.backend, 'password_field', None)
    if field is None or field not in model._meta.fields_db_projection:
        return {}
    password = click.prompt('Password', hide_input=True, confirmation_prompt=True)
    return {field: await hash_password(password)}


def _check_complete(model: type[Model], row: dict[str, Any]) -> None:
    from colibris.persist.conversion import is_required

    fields = model._meta.fields_map
    missing: Sequence[str] = [
        name for name in model._meta.fields_db_projection if name not in row and is_required(fields[name])
    ]
    if missing:
        options = ' '.join(f'--set {name}=VALUE' for name in missing)
        raise CommandError(f'a {model.__name__} needs more: {options}')
