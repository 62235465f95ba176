"""``settings``: the values that are in force, and where they come from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from colibris import conf
from colibris.commands.context import project_command
from colibris.commands.table import print_table


@click.command()
@click.option('--json', 'as_json', is_flag=True, help='Write JSON for programs to read.')
@project_command
def settings(as_json: bool) -> None:
    """List each setting, its value with secrets hidden, and where it comes from.

    A key of a dictionary has a line of its own where it comes from elsewhere than the rest.
    """
    if as_json:
        click.echo(json.dumps(list(_entries()), indent=2))
    else:
        print_table(('SETTING', 'SOURCE', 'VALUE'), _rows())


def _entries() -> Iterator[dict[str, Any]]:
    for name, value, source in conf.settings.items():
        yield {'name': name, 'value': _plain(value), 'source': source, 'keys': conf.settings.key_sources(name)}


def _plain(value: Any) -> Any:
    """Return *value* as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else repr(value)


def _rows() -> Iterator[tuple[str, str, str]]:
    for name, value, source in conf.settings.items():
        yield name, source, repr(value)
        for key, key_source in conf.settings.key_sources(name).items():
            yield f'{name}.{key}', key_source, repr(value[key]) if isinstance(value, dict) else ''
