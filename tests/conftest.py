"""What the tests that cross packages share: the distributions, built once, and an environment that has them."""

import shutil
import sys

import pytest
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
