"""``plugins``: what is installed for Colibris, and whether it works."""

import json
from dataclasses import asdict

import click

from colibris.commands.table import print_table
from colibris.plugins import Row, listing

HEADINGS = ('GROUP', 'ALIAS', 'DISTRIBUTION', 'TARGET', 'STATE')


@click.command()
@click.option('--json', 'as_json', is_flag=True, help='Write JSON for programs to read.')
def plugins(as_json: bool) -> None:
    """List what installed distributions offer: backends, subsystems, commands.

    Each is loaded, to see whether it works. No project is needed.
    """
    rows = list(listing())
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print_table(HEADINGS, [(row.group, row.alias, row.distribution, row.target, row.state) for row in rows])
    for line in dict.fromkeys(_line(row) for row in rows if row.detail):
        click.echo(line)


def _line(row: Row) -> str:
    return f'\n{row.group} {row.alias}, {row.state}: {row.detail}'
