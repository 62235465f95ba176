"""The container files of a project: linted, and their steps run where no Docker is, by the same commands."""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import kubernetes_validate
import psutil
import pytest
import yaml
from test_skeleton import Project, start
from workspace import ROOT, Distributions, Environment, clean_environment, make_environment, run, served

from colibris.server.serving import Shutdown

SECRET_KEY = 'a-key-of-the-tests-that-is-long-enough-0123456789'


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a Dockerfile: its instructions in order."""

    name: str
    base: str
    steps: list[tuple[str, str]]

    def last(self, instruction: str) -> str | None:
        return next((text for name, text in reversed(self.steps) if name == instruction), None)


def stages_of(dockerfile: Path) -> dict[str, Stage]:
    text = re.sub(r'^\s*#.*\n', '', dockerfile.read_text(), flags=re.MULTILINE).replace('\\\n', ' ')
    stages: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, _, rest = line.partition(' ')
        if instruction == 'FROM':
            base, name = rest.split(' AS ')
            stage = stages[name] = Stage(name, base, list(stages[base].steps) if base in stages else [])
        else:
            stage.steps.append((instruction, rest.strip()))
    return stages


class Builder:
    """Does what Docker does in the stage ``build``, below a folder of its own."""

    def __init__(self, root: Path, project: Path, python: Environment, wheels: Path) -> None:
        self._root = root
        self._project = project
        self._variables = {
            **clean_environment(),
            'PATH': f'{python.scripts}{os.pathsep}{os.environ["PATH"]}',
            'PIP_FIND_LINKS': str(wheels),
            'UV_FIND_LINKS': str(wheels),
        }
        for folder in ('src', 'tmp'):
            (root / folder).mkdir(parents=True)

    def _here(self, text: str) -> str:
        return re.sub(r'(?<![\w.])/(venv|src|tmp)\b', rf'{self._root}/\1', text)

    def build(self, stage: Stage, *, until: tuple[str, str] | None = None) -> Path:
        """Run the steps, all or those before *until*; return the environment that they make."""
        for instruction, text in stage.steps[: stage.steps.index(until) if until else None]:
            if instruction == 'ARG':
                name, _, value = text.partition('=')
                self._variables[name] = value
            elif instruction == 'COPY':
                self._copy(*text.split())
            elif instruction == 'RUN':
                run('/bin/sh', '-c', self._here(text), cwd=self._root / 'src', env=self._variables)
        return self._root / 'venv'

    def _copy(self, *patterns: str) -> None:
        if patterns == ('.', '.'):
            ignored = (self._project / '.dockerignore').read_text().split()
            names = [name.strip('/') for name in ignored if not name.startswith('#')]
            shutil.copytree(
                self._project, self._root / 'src', dirs_exist_ok=True, ignore=shutil.ignore_patterns(*names)
            )
            return
        *sources, target = patterns
        assert target == './'
        for pattern in sources:
            for file in self._project.glob(pattern):
                shutil.copy(file, self._root / 'src')


#: A task, and what sends it: it tells which process has run it, and as whose environment.
TASK = """
import os
import sys


async def who_works():
    return [os.getpid(), sys.prefix]
"""
SENDING = """
from colibris import taskqueue

from shopfloor.tasks import who_works


async def send(request):
    return [os.getpid(), await taskqueue.execute(who_works, timeout=30)]


ROUTES += [('/work', send)]
"""


@pytest.fixture(scope='module')
def project(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project as made, with a task."""
    project = start(environment, tmp_path_factory.mktemp('contained'))
    (project.package / 'tasks.py').write_text(TASK)
    routes = project.package / 'routes.py'
    routes.write_text(f'import os\n\n{routes.read_text()}{SENDING}')
    return project


@pytest.fixture(scope='module')
def stages(project: Project) -> dict[str, Stage]:
    return stages_of(project.folder / 'Dockerfile')


@pytest.fixture(scope='module')
def python(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What stands for the image of Python."""
    return make_environment(tmp_path_factory.mktemp('python') / 'venv')


@pytest.fixture(scope='module')
def built(
    project: Project,
    stages: dict[str, Stage],
    python: Environment,
    distributions: Distributions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The environment that the stage ``build`` makes."""
    builder = Builder(tmp_path_factory.mktemp('image') / 'build', project.folder, python, distributions.wheels)
    return builder.build(stages['build'])


def in_image(built: Path, **variables: str) -> dict[str, str]:
    return {
        'PATH': f'{built}/bin:/usr/bin:/bin',
        'PYTHONUNBUFFERED': '1',
        'PYTHONDONTWRITEBYTECODE': '1',
        'SECRET_KEY': SECRET_KEY,
        **variables,
    }


def test_hadolint_finds_nothing(project: Project) -> None:
    hadolint = shutil.which('hadolint', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    if hadolint is None:
        (pytest.fail if os.environ.get('CI') else pytest.skip)('hadolint is not installed')
    run(hadolint, '--failure-threshold', 'info', project.folder / 'Dockerfile')


def test_the_image_has_an_environment_without_tools_to_build(built: Path) -> None:
    installed = {path.name for path in built.glob('lib/python*/site-packages/*')}
    assert {'colibris', 'shopfloor', 'asyncpg', 'redis'} <= installed
    assert not {'pip', 'setuptools', 'hatchling', 'wheel', 'pytest'} & installed


def test_the_image_serves_migrates_and_is_healthy_and_writes_nothing_but_its_data(
    built: Path, stages: dict[str, Stage], tmp_path: Path
) -> None:
    (tmp_path / 'srv').mkdir()
    (tmp_path / 'data').mkdir()
    entry = json.loads(stages['server'].last('ENTRYPOINT') or '')
    assert json.loads(stages['server'].last('CMD') or '') == ['runserver']
    data = tmp_path / 'data'
    variables = in_image(built, DATABASE_NAME=str(data / 'shop.db'), TASK_QUEUE_PATH=str(data / 'tasks.db'))
    command = built / 'bin' / entry[0]
    run(command, 'migrate', cwd=tmp_path / 'srv', env=variables)
    checked = (stages['server'].last('HEALTHCHECK') or '').partition('CMD ')[2]
    with served(command, tmp_path / 'srv', variables) as address:
        probe = json.loads(checked)
        port = address.rpartition(':')[2]
        run(shutil.which(probe[0], path=variables['PATH']), *probe[1:], env={**variables, 'PORT': port})
    failed = subprocess.run(
        [built / 'bin/python', *probe[1:]], env={**variables, 'PORT': port}, capture_output=True, check=False
    )
    assert failed.returncode != 0
    assert [path.name for path in (tmp_path / 'srv').iterdir()] == ['server.log']  # which the test writes


def redis_of(service: dict[str, Any], port: int) -> 'subprocess.Popen[bytes]':
    """Start Redis by the command of Compose, at a *port* of this machine."""
    name, *options = service['command']
    command = shutil.which(name)
    if command is None:
        (pytest.fail if os.environ.get('CI') else pytest.skip)('redis-server is not installed')
    options[options.index('--appendonly') + 1] = 'no'
    process = subprocess.Popen([command, '--port', str(port), *options], stdout=subprocess.DEVNULL)
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port)):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError('Redis does not come up')


@pytest.fixture(params=['worker', 'worker-embedded'])
def working(
    request: pytest.FixtureRequest, services: dict[str, Any], tmp_path: Path
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """The worker of a profile of Compose, and its variables: the volume is here, and Redis at a port of this machine.

    The database is a file in both of them, as it is the queue that this is about.
    """
    service = services[request.param]
    variables = {name: str(value) for name, value in service['environment'].items()}
    (tmp_path / 'data').mkdir()
    here = {name: value.replace('/data/', f'{tmp_path}/data/') for name, value in variables.items()}
    if request.param == 'worker-embedded':
        yield service, here
        return
    database = {'DATABASE_BACKEND': 'sqlite', 'DATABASE_NAME': str(tmp_path / 'data' / 'shop.db')}
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    place = {
        f'{name}_{key}': value
        for name in ('CACHE', 'TASK_QUEUE')
        for key, value in (('HOST', '127.0.0.1'), ('PORT', str(port)))
    }
    kept = {name: value for name, value in here.items() if not name.startswith('DATABASE_')}
    redis = redis_of(services['redis'], port)
    try:
        yield service, {**kept, **database, **place}
    finally:
        redis.kill()
        redis.wait()


def test_the_worker_of_the_image_runs_what_the_server_sends_and_ends_on_sigterm(
    built: Path, stages: dict[str, Stage], working: tuple[dict[str, Any], dict[str, str]], tmp_path: Path
) -> None:
    service, environment = working
    assert 'command' not in service  # that of the stage
    stage = stages[service['build']['target']]
    (command,) = json.loads(stage.last('ENTRYPOINT') or '')
    arguments = json.loads(stage.last('CMD') or '')
    variables = in_image(built, **environment | {'SECRET_KEY': SECRET_KEY})
    for name in ('server', 'worker'):
        (tmp_path / name).mkdir()
    run(built / 'bin' / command, 'migrate', cwd=tmp_path / 'server', env=variables)
    with (tmp_path / 'worker.log').open('w') as log:
        worker = subprocess.Popen(
            [built / 'bin' / command, *arguments], cwd=tmp_path / 'worker', env=variables, stdout=log, stderr=log
        )
    try:
        with (
            served(built / 'bin' / command, tmp_path / 'server', variables) as address,
            urlopen(f'{address}/work', timeout=60) as answer,
        ):
            server_pid, (pid, prefix) = json.load(answer)
        assert pid != server_pid
        assert pid in {worker.pid, *(child.pid for child in psutil.Process(worker.pid).children(recursive=True))}
        assert Path(prefix) == built
        worker.terminate()
        assert worker.wait(30) == 0, (tmp_path / 'worker.log').read_text()
        assert not list((tmp_path / 'worker').iterdir())  # the root file system is read-only
    finally:
        worker.kill()
        worker.wait()


def test_server_and_worker_are_no_root_and_differ_in_their_command(stages: dict[str, Stage]) -> None:
    for name, command in (('server', 'runserver'), ('worker', 'runworker')):
        assert re.fullmatch(r'[1-9]\d*:[1-9]\d*', stages[name].last('USER') or '')
        assert json.loads(stages[name].last('CMD') or '') == [command]
    assert list(stages)[-1] == 'server'
    assert stages['server'].last('HEALTHCHECK')
    assert not stages['worker'].last('HEALTHCHECK')


def pinned(environment: Environment) -> dict[str, str]:
    """What is installed in *environment* with its version, but with a click that is not the newest."""
    found = json.loads(environment.run('pip', 'list', '--format', 'json').stdout)
    versions = {item['name'].lower(): item['version'] for item in found if item['name'] not in ('pip', 'setuptools')}
    return versions | {'click': '8.2.1'}


def requirements_lock(project: Path, versions: dict[str, str]) -> None:
    (project / 'requirements.lock').write_text(''.join(f'{name}=={version}\n' for name, version in versions.items()))


def test_nothing_is_installed_beside_what_a_lock_file_says(
    project: Project, environment: Environment, python: Environment, distributions: Distributions, tmp_path: Path
) -> None:
    folder = tmp_path / 'project'
    shutil.copytree(project.folder, folder)
    versions = pinned(environment)
    requirements_lock(folder, versions)
    builder = Builder(tmp_path / 'build', folder, python, distributions.wheels)
    venv = builder.build(stages_of(folder / 'Dockerfile')['build'])
    installed = {path.name.partition('-')[0].lower() for path in venv.glob('lib/python*/site-packages/*.dist-info')}
    assert list(venv.glob('lib/python*/site-packages/click-8.2.1.dist-info'))
    assert installed == {name.replace('-', '_').replace('.', '_') for name in versions} | {'shop_floor'}


def test_a_lock_file_of_pipenv_is_honoured(
    project: Project, python: Environment, distributions: Distributions, tmp_path: Path
) -> None:
    folder = tmp_path / 'project'
    shutil.copytree(project.folder, folder)
    default = {'click': {'version': '==8.2.1'}, 'shop-floor': {'editable': True, 'path': '.'}}
    meta = {'hash': {'sha256': ''}, 'pipfile-spec': 6, 'requires': {}, 'sources': []}
    (folder / 'Pipfile.lock').write_text(json.dumps({'_meta': meta, 'default': default, 'develop': {}}))
    builder = Builder(tmp_path / 'build', folder, python, distributions.wheels)
    venv = builder.build(stages_of(folder / 'Dockerfile')['build'], until=('COPY', '. .'))
    assert [path.name for path in venv.glob('lib/python*/site-packages/*.dist-info')] == ['click-8.2.1.dist-info']


@pytest.fixture(scope='module')
def services(project: Project) -> dict[str, Any]:
    """The services of Compose, their variables filled in."""
    text = (project.folder / 'docker-compose.yml').read_text()
    found: dict[str, Any] = yaml.safe_load(re.sub(r'\$\{\w+:[-?]([^}]*)\}', r'\1', text))['services']
    return found


class TestCompose:
    @pytest.mark.parametrize(
        ('profile', 'expected'),
        [
            ('full', {'server', 'worker', 'migrate', 'database', 'redis'}),
            ('embedded', {'server-embedded', 'worker-embedded', 'migrate-embedded'}),
        ],
    )
    def test_a_profile_is_all_that_is_needed(self, services: dict[str, Any], profile: str, expected: set[str]) -> None:
        chosen = {name for name, service in services.items() if profile in service['profiles']}
        assert chosen == expected
        for name in chosen:
            assert set(services[name].get('depends_on', {})) <= chosen

    def test_what_is_built_is_built_from_stages_that_there_are(
        self, services: dict[str, Any], stages: dict[str, Stage]
    ) -> None:
        for name, service in services.items():
            if 'build' in service:
                assert service['build']['target'] in stages, name
                assert service['read_only'], name

    @pytest.mark.parametrize('service', ['server', 'migrate', 'server-embedded', 'migrate-embedded'])
    def test_the_commands_and_the_variables_are_those_of_the_project(
        self, services: dict[str, Any], project: Project, service: str
    ) -> None:
        command, *options = services[service]['command']
        help_text = project.manage(command, '--help')
        assert all(option in help_text for option in options if option.startswith('--'))
        variables = {name: str(value) for name, value in services[service]['environment'].items()}
        shown = project.manage('settings', **variables | {'SECRET_KEY': SECRET_KEY})
        backend = variables['DATABASE_BACKEND']
        assert re.search(rf"DATABASE.backend +environment +'{backend}'", shown)
        assert re.search(rf"DATABASE.name +environment +'{variables['DATABASE_NAME']}'", shown)


def test_the_unit_of_systemd_is_valid(project: Project, built: Path, tmp_path: Path) -> None:
    analyze = shutil.which('systemd-analyze')
    if analyze is None:
        pytest.skip('systemd-analyze is not installed')
    text = (project.folder / 'deploy/shopfloor.service').read_text()
    unit = tmp_path / 'shopfloor.service'
    unit.write_text(text.replace('/srv/shopfloor/venv', str(built)))
    done = subprocess.run([analyze, 'verify', unit], capture_output=True, text=True, check=False)
    assert str(unit) not in done.stderr, done.stderr
    assert 'shopfloor.service:' not in done.stderr, done.stderr
    command = shlex.split(re.search(r'^ExecStart=(.*)$', text, re.MULTILINE)[1])  # type: ignore[index]
    assert command[1:] == ['runserver', '--workers', '2']


@pytest.fixture(scope='module')
def manifests() -> list[dict[str, Any]]:
    """The manifests of the guide."""
    page = (ROOT / 'docs/production.md').read_text()
    block = re.search(r'^```yaml\n# deploy/kubernetes.yaml\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    assert block is not None
    return list(yaml.safe_load_all(block[1]))


class TestKubernetes:
    def test_the_manifests_of_the_guide_are_valid(self, manifests: list[dict[str, Any]]) -> None:
        for manifest in manifests:
            kubernetes_validate.validate(manifest, '1.33', strict=True)

    def test_they_allow_the_drain_its_time(self, manifests: list[dict[str, Any]]) -> None:
        server = next(m for m in manifests if m['kind'] == 'Deployment')['spec']['template']['spec']
        (delay,) = (float(item['value']) for item in server['containers'][0]['env'] if item['name'] == 'SHUTDOWN_DELAY')
        assert server['terminationGracePeriodSeconds'] > Shutdown(delay=delay).total
        assert server['containers'][0]['readinessProbe']['httpGet']['path'] == '/health/ready'

    def test_their_commands_are_the_image_s(self, manifests: list[dict[str, Any]], stages: dict[str, Stage]) -> None:
        pods = [m['spec']['template']['spec'] for m in manifests if m['kind'] in ('Deployment', 'Job')]
        commands = {pod['containers'][0]['args'][0] for pod in pods}
        assert commands == {'migrate', 'runserver', 'runworker'}
