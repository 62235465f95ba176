"""``openapi``: write the document of the API."""

from __future__ import annotations

import json
from typing import TextIO

import click

from colibris.commands.context import project_command


@click.command()
@click.argument('file', type=click.File('w', encoding='utf-8', atomic=True), default='-')
@click.option('--indent', type=click.IntRange(0, 8), default=2, show_default=True, help='Spaces for each level.')
@project_command
def openapi(file: TextIO, indent: int) -> None:
    """Write the OpenAPI document of the service to FILE, or to standard output.

    Nothing is opened for it: no database, no port. Routes that the project's init() adds are not in it.
    """
    from colibris.app import create_app
    from colibris.endpoints import endpoints
    from colibris.openapi.document import build_document

    document = build_document(endpoints(create_app()))
    file.write(json.dumps(document, indent=indent or None, ensure_ascii=False) + '\n')
