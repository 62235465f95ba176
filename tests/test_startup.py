"""What a service loads to serve: what it does not need costs time and memory in each of its processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1] / 'benchmarks' / 'peers' / 'project'

#: For documents of the API, public keys, passwords, pages and tests.
NEEDLESS = {'apispec', 'argon2', 'asyncmy', 'cryptography', 'hypothesis', 'jinja2', 'jwt', 'pytest', 'redis', 'yaml'}

LOAD = """
import asyncio, json, sys
from aiohttp import web
from colibris import conf
from colibris.app import create_app
import colibris.server.serving

async def main():
    conf.setup('service')
    runner = web.AppRunner(create_app())
    await runner.setup()
    print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
    await runner.cleanup()

asyncio.run(main())
"""


def test_what_is_not_needed_to_serve_is_not_imported(tmp_path):
    environment = {**os.environ, 'DATABASE_BACKEND': 'sqlite', 'DATABASE_NAME': str(tmp_path / 'x.db')}
    environment['SECRET_KEY'] = 'a-secret-that-is-long-enough-for-the-signatures'
    command = [sys.executable, '-c', LOAD]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert 'tortoise' in loaded
    assert not loaded & NEEDLESS
