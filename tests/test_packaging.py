"""The distributions: complete, apart from one another, the same from the tree and from their sources."""

import itertools
import json
import re
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from urllib.request import urlopen

import pytest
from workspace import PACKAGES, ROOT, Distributions, Environment, make_environment, run, served

NAMES = [package.name for package in PACKAGES]
PLUGINS = [name for name in NAMES if name not in ('colibris', 'colibris-core')]

# The example of an APIView from the page that users know, as a project.
PLAIN_SERVICE = {
    'pyproject.toml': '[tool.colibris]\npackage = "__packagename__"\n',
    '__packagename__/__init__.py': '',
    '__packagename__/settings.py': """
from colibris.conf.schemas import SettingsSchema, fields


class GeneralSettingsSchema(SettingsSchema):
    LISTEN = fields.String()
    PORT = fields.Integer()


GeneralSettingsSchema().load_from_env(globals())
""",
    '__packagename__/views.py': """
from aiohttp import web
from colibris.views import APIView
from marshmallow import Schema, fields


class QuerySchema(Schema):
    limit = fields.Integer()


class ItemsView(APIView):
    query_schema_class = QuerySchema

    async def get(self):
        args = await self.get_validated_query()

        return web.json_response(args)
""",
    '__packagename__/routes.py': """
from __packagename__ import views

ROUTES = [('/items', views.ItemsView)]
""",
}


def wheel_of(folder: Path, name: str) -> zipfile.ZipFile:
    (path,) = folder.glob(f'{name.replace("-", "_")}-*.whl')
    return zipfile.ZipFile(path)


def contents(wheel: zipfile.ZipFile) -> dict[str, tuple[bytes, int]]:
    """Return what each file of *wheel* holds, and its mode; the order of the list RECORD does not matter."""
    files = {info.filename: (wheel.read(info), info.external_attr) for info in wheel.infolist()}
    (record,) = (path for path in files if path.endswith('.dist-info/RECORD'))
    lines, mode = files[record]
    return files | {record: (b''.join(sorted(lines.splitlines(keepends=True))), mode)}


def requirements(wheel: zipfile.ZipFile) -> list[str]:
    (metadata,) = (name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return HeaderParser().parsestr(wheel.read(metadata).decode()).get_all('Requires-Dist', [])


def skeleton_files(folder: Path) -> set[str]:
    """Return the files below *folder*, without what tools leave there."""
    files = {path.relative_to(folder) for path in folder.rglob('*') if path.is_file()}
    return {str(path) for path in files if not {'__pycache__', '.ruff_cache', '.DS_Store'} & set(path.parts)}


@pytest.mark.parametrize('name', NAMES)
def test_a_wheel_is_the_same_from_the_sources_as_from_the_tree(distributions: Distributions, name: str) -> None:
    from_sources = contents(wheel_of(distributions.wheels, name))
    from_tree = contents(wheel_of(distributions.wheels_from_tree, name))

    assert sorted(from_sources) == sorted(from_tree)
    assert [path for path in from_tree if from_tree[path] != from_sources[path]] == []


def test_no_two_wheels_share_a_path(distributions: Distributions) -> None:
    paths = {name: set(wheel_of(distributions.wheels, name).namelist()) for name in NAMES}

    shared = {pair: paths[pair[0]] & paths[pair[1]] for pair in itertools.combinations(NAMES, 2)}

    assert {pair: both for pair, both in shared.items() if both} == {}


@pytest.mark.parametrize('name', NAMES)
def test_the_namespace_belongs_to_nobody(distributions: Distributions, name: str) -> None:
    assert 'colibris/__init__.py' not in wheel_of(distributions.wheels, name).namelist()


@pytest.mark.parametrize('name', [name for name in NAMES if name != 'colibris'])
def test_every_sub_package_says_that_it_is_typed(distributions: Distributions, name: str) -> None:
    paths = [Path(path) for path in wheel_of(distributions.wheels, name).namelist()]
    packages = {path.parent for path in paths if path.name == '__init__.py' and len(path.parts) == 3}

    assert packages
    assert [package for package in packages if package / 'py.typed' not in paths] == []


@pytest.mark.parametrize('name', NAMES)
def test_the_licence_travels_with_each_wheel(distributions: Distributions, name: str) -> None:
    wheel = wheel_of(distributions.wheels, name)
    (path,) = (path for path in wheel.namelist() if path.endswith('.dist-info/licenses/LICENSE'))

    assert wheel.read(path) == (ROOT / 'LICENSE').read_bytes()


def test_only_the_meta_distribution_pins_versions(distributions: Distributions) -> None:
    meta = requirements(wheel_of(distributions.wheels, 'colibris'))
    assert meta
    assert [requirement for requirement in meta if '==' not in requirement] == []
    for name in PLUGINS:
        needed = requirements(wheel_of(distributions.wheels, name))
        assert [
            requirement for requirement in needed if requirement.startswith('colibris') and '==' in requirement
        ] == []
        assert any(requirement.startswith('colibris-core<2,>=1') for requirement in needed)


def test_the_meta_distribution_reaches_every_package(distributions: Distributions) -> None:
    meta = requirements(wheel_of(distributions.wheels, 'colibris'))

    for name in ['colibris-core', *PLUGINS]:
        assert any(requirement.startswith((f'{name}==', f'{name}[')) for requirement in meta), name
    for name in PLUGINS:
        extra = name.removeprefix('colibris-')
        assert any(requirement.endswith(f"extra == '{extra}'") for requirement in meta), extra


def test_every_extra_is_listed_for_users(distributions: Distributions) -> None:
    readme = (ROOT / 'packages' / 'colibris' / 'README.md').read_text()
    meta = requirements(wheel_of(distributions.wheels, 'colibris'))
    extras = {extra for requirement in meta for extra in re.findall(r"extra == '(\w+)'", requirement)}

    assert set(re.findall(r'^\| `(\w+)` \|', readme, re.MULTILINE)) == extras


@pytest.mark.parametrize('kind', ['sdist', 'wheel', 'wheel from git'])
def test_the_skeleton_travels_whole(distributions: Distributions, kind: str, tmp_path: Path) -> None:
    expected = skeleton_files(ROOT / 'templates')
    match kind:
        case 'sdist':
            (archive,) = distributions.sdists.glob('colibris_core-*.tar.gz')
            with tarfile.open(archive) as tar:
                names = tar.getnames()
        case 'wheel':
            names = wheel_of(distributions.wheels, 'colibris-core').namelist()
        case _:
            if not (ROOT / '.git').exists():
                pytest.skip('this is no git repository')
            address = f'colibris-core @ git+file://{ROOT}#subdirectory=packages/colibris-core'
            pip = (sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation')
            run(*pip, '--wheel-dir', tmp_path, address)
            names = wheel_of(tmp_path, 'colibris-core').namelist()

    shipped = {name.partition('colibris/_templates/')[2] for name in names} - {''}

    assert shipped == expected


def test_modules_of_the_skeleton_are_not_compiled_by_installers(distributions: Distributions) -> None:
    names = wheel_of(distributions.wheels, 'colibris-core').namelist()

    assert [name for name in names if '/_templates/' in name and name.endswith(('.py', '.pyc'))] == []


def test_all_distributions_install_together(environment: Environment) -> None:
    environment.run('pip', 'check')
    listed = environment.run('pip', 'list', '--format=freeze').stdout.split()

    assert {line.partition('==')[0] for line in listed} >= set(NAMES)


def test_what_is_installed_can_be_imported(environment: Environment, distributions: Distributions) -> None:
    modules = [
        '.'.join(path.with_suffix('').parts).removesuffix('.__init__')
        for name in NAMES
        for path in map(Path, wheel_of(distributions.wheels, name).namelist())
        if path.suffix == '.py'
    ]
    assert len(modules) > 20

    script = 'import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]'
    environment.run('python', '-c', script, *modules)


def test_the_installed_starter_makes_a_project(environment: Environment, tmp_path: Path) -> None:
    environment.run('colibris-start-project', 'shop-floor', cwd=tmp_path)
    project = tmp_path / 'shop-floor'

    expected = skeleton_files(ROOT / 'templates' / 'service') | {'.env'}
    made = {str(path.relative_to(project)) for path in project.rglob('*') if path.is_file()}
    assert made == {path.replace('__packagename__', 'shopfloor').replace('.py.tmpl', '.py') for path in expected}
    assert (project / 'shopfloor' / 'manage.py').stat().st_mode & 0o111


def test_the_core_alone_serves_a_view(distributions: Distributions, tmp_path: Path) -> None:
    template = tmp_path / 'template'
    for name, content in PLAIN_SERVICE.items():
        (template / name).parent.mkdir(parents=True, exist_ok=True)
        (template / name).write_text(content)
    environment = make_environment(tmp_path / 'venv')
    environment.install(*distributions.wheels.glob('colibris_core-*.whl'))

    environment.run('colibris-start-project', 'plain', '--template', template, cwd=tmp_path)
    with (
        served(environment.scripts / 'colibris', tmp_path / 'plain', environment.variables) as address,
        urlopen(f'{address}/items?limit=3', timeout=10) as response,
    ):
        assert json.load(response) == {'limit': 3}
