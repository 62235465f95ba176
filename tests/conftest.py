"""What the tests that cross packages share: the distributions, built once, and an environment that has them."""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from databases import KINDS, new_database
from playwright.sync_api import Browser, sync_playwright
from workspace import PACKAGES, Distributions, Environment, make_environment, run


@pytest.fixture(scope='session')
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build all packages, with the build backend of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp('distributions')
    built = Distributions(folder / 'sdists', folder / 'wheels', folder / 'wheels-from-tree')
    build = (sys.executable, '-m', 'build', '--no-isolation')
    for package in PACKAGES:
        run(*build, '--sdist', '--outdir', built.sdists, package)
        run(*build, '--wheel', '--outdir', built.wheels_from_tree, package)
    for archive in built.sdists.iterdir():
        shutil.unpack_archive(archive, folder / 'unpacked')
        run(*build, '--wheel', '--outdir', built.wheels, folder / 'unpacked' / archive.name.removesuffix('.tar.gz'))
    return built


@pytest.fixture(scope='session')
def environment(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment in which all distributions are installed from their wheels, with all extras."""
    environment = make_environment(tmp_path_factory.mktemp('installed') / 'venv')
    wheels = sorted(distributions.wheels.glob('*.whl'))
    meta = next(wheel for wheel in wheels if wheel.name.startswith('colibris-'))
    environment.install(*(f'{wheel}[all]' if wheel == meta else wheel for wheel in wheels))
    return environment


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The environment variables that choose a new, empty database, which is dropped afterwards."""
    async with new_database(request.param, tmp_path) as variables:
        yield variables


CHROMIUM = os.environ.get('COLIBRIS_TEST_CHROMIUM', '/usr/bin/chromium')
OPTIONS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
]


@pytest.fixture(scope='module')
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).is_file():
        message = f'no Chromium at {CHROMIUM}; COLIBRIS_TEST_CHROMIUM may name another one'
        if os.environ.get('CI'):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()
