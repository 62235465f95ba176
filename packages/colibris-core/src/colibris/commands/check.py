"""``check``: look for what is wrong in the project without serving it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, cast

import click

from colibris import plugins
from colibris.checks import GROUP, Check, Level, Problem, is_for_deployment
from colibris.commands.context import Place, describe, load_project, run_async
from colibris.conf import settings
from colibris.plugins import PluginError
from colibris.plugins.registry import load_entry_point

if TYPE_CHECKING:
    from colibris.endpoints import Endpoint

#: The checks of core, after that of the settings, in their order.
PLUGINS = 'plug-ins'
SUBSYSTEMS = 'subsystems'
APPLICATION = 'routes, views and schemas'
DOCUMENTATION = 'API documentation'


@click.command()
@click.option(
    '--deploy', is_flag=True, help='Look for what is unsafe in production, too; this asks the database, for one.'
)
@click.pass_context
def check(ctx: click.Context, deploy: bool) -> None:
    """Look for mistakes in settings, plug-ins, routes and schemas, and what packages add; nothing is opened.

    The exit code is 1 if there are errors.
    """
    report = Report(ctx)
    report.run('settings', _check_settings)
    if settings.loaded:
        for name, function in _checks(deploy=deploy):
            report.run(name, function)
    else:
        click.echo('The rest can be checked once the settings are right.')
    report.sum_up()
    sys.exit(1 if report.count(Level.ERROR) else 0)


class Report:
    """Runs checks, prints what each finds, and counts the problems."""

    def __init__(self, ctx: click.Context) -> None:
        place = ctx.find_object(Place)
        self._project = place.project_if_any if place else None
        self._found: list[Problem] = []

    def run(self, name: str, function: Check) -> None:
        """Run one check; what it raises is a problem, too."""
        try:
            problems = _listed(_result(function))
        except Exception as error:
            problems = [Problem(describe(error, self._project))]
        told = [problem for problem in dict.fromkeys(problems) if problem not in self._found]
        if problems and not told:
            click.echo(f'{name}: not checked, because of the above')
        else:
            click.echo(f'{name}: {"ok" if not problems else ""}'.rstrip())
        for problem in told:
            hint = f' ({problem.hint})' if problem.hint else ''
            click.echo(f'  {problem.level}: {problem.message}{hint}')
        self._found += told

    def count(self, level: Level) -> int:
        """Return how many problems of *level* were found."""
        return sum(problem.level is level for problem in self._found)

    def sum_up(self) -> None:
        """Print how many problems there are."""
        errors, warnings = self.count(Level.ERROR), self.count(Level.WARNING)
        if errors or warnings:
            click.echo(f'{_counted(errors, "error")}, {_counted(warnings, "warning")}.')
        else:
            click.echo('No problems found.')


def _counted(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _listed(result: Iterable[object]) -> list[Problem]:
    problems = list(result)
    for problem in problems:
        if not isinstance(problem, Problem):
            raise TypeError(f'a check returns objects of colibris.checks.Problem, not {problem!r}')
    return cast('list[Problem]', problems)


def _result(function: Check) -> Iterable[Problem]:
    result = function()
    if inspect.isawaitable(result):

        async def wait() -> Iterable[Problem]:
            return await result

        return run_async(wait())  # type: ignore[no-any-return]
    return result


def _checks(*, deploy: bool) -> Iterator[tuple[str, Check]]:
    yield PLUGINS, _check_plugins
    yield SUBSYSTEMS, _check_subsystems
    yield APPLICATION, _check_application
    yield DOCUMENTATION, _check_documentation
    if deploy:
        from colibris import deployment

        yield from deployment.CHECKS.items()
    for name, entry_points in plugins.found(GROUP).items():
        for entry_point in entry_points:
            check = _added(entry_point)
            if deploy or not is_for_deployment(check):
                yield name, check


def _added(entry_point: EntryPoint) -> Check:
    """Return the check of a distribution; one that does not load is a check that raises why."""
    try:
        check: Check = load_entry_point(entry_point)
    except Exception as error:
        return functools.partial(_raise, error)
    return check


def _raise(error: Exception) -> Iterable[Problem]:
    raise error


def _check_settings() -> Iterable[Problem]:
    load_project()
    return ()


def _check_plugins() -> Iterator[Problem]:
    """What is installed but cannot be used is no error as long as nothing uses it."""
    for row in plugins.listing():
        if row.state in ('broken', 'ambiguous'):
            yield Problem(row.detail, f'in the group {row.group}', Level.WARNING)


def _check_subsystems() -> Iterator[Problem]:
    from colibris import subsystems

    for subsystem in subsystems.configured():
        try:
            subsystem.configure()
        except PluginError as error:
            yield Problem(str(error))


def _check_application() -> Iterable[Problem]:
    from colibris.app import check_guarded, create_app
    from colibris.endpoints import endpoints

    found = endpoints(create_app())
    check_guarded(found)
    return _slow_schemas(found)


def _slow_schemas(found: Iterable[Endpoint]) -> Iterator[Problem]:
    """Yield the schemas of views that marshmallow itself runs as a whole, as nothing of them is compiled."""
    from colibris.schemas.compiled.explaining import How, explain

    for endpoint in found:
        used = {'loads the body': endpoint.body_schema, 'loads the query': endpoint.query_schema}
        told = [(use, schema, explain(schema).load) for use, schema in used.items() if schema is not None]
        if endpoint.response_schema is not None:
            told.append(('dumps the answer', endpoint.response_schema, explain(endpoint.response_schema).dump))
        for use, schema, direction in told:
            if direction.how is How.MARSHMALLOW:
                name = f'{type(schema).__module__}.{type(schema).__qualname__}'
                yield Problem(
                    f'{name}, which {use} of {endpoint.method} {endpoint.path}, is not compiled: {direction.why}',
                    'it works, at the speed of marshmallow',
                    Level.INFO,
                )


def _check_documentation() -> Iterable[Problem]:
    if settings.API_DOCS_PATH is not None:
        from colibris import openapi
        from colibris.app import create_app
        from colibris.endpoints import endpoints
        from colibris.openapi.document import build_document

        app = create_app()
        build_document(endpoints(app))
        openapi.setup(app)
    return ()
