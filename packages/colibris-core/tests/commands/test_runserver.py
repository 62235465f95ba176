import contextlib
import signal
import socket
import subprocess
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest


@pytest.fixture
def port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.fixture
def serve(project_folder):
    """Start ``runserver`` and read what it says until it serves."""
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            project_folder.command('runserver', *arguments),
            cwd=project_folder.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        first = process.stdout.readline()
        assert first.startswith('Serving shop at '), process.stderr.read()
        return process, first

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def answer(url):
    with urlopen(url, timeout=5) as response:
        return response.read()


def ended(process, number=signal.SIGTERM):
    process.send_signal(number)
    output = process.communicate(timeout=20)
    assert process.returncode == 0, output
    return output


def test_it_tells_where_the_service_and_its_documentation_are(serve, port):
    process, first = serve('--listen', '127.0.0.1', '--port', str(port))
    assert first == f'Serving shop at http://127.0.0.1:{port} (Ctrl-C stops it).\n'
    assert process.stdout.readline() == f'The API documentation is at http://127.0.0.1:{port}/api/docs.\n'
    assert answer(f'http://127.0.0.1:{port}/health') == b'"healthy"'
    ended(process, signal.SIGINT)


def test_settings_say_where_it_listens(serve, port, project_folder):
    project_folder.write('shop/settings.py', f"LISTEN = ['127.0.0.1', '::1']\nPORT = {port}\nAPI_DOCS_PATH = None\n")
    process, first = serve()
    assert f'http://127.0.0.1:{port} and http://[::1]:{port}' in first
    assert answer(f'http://127.0.0.1:{port}/health/live') == answer(f'http://[::1]:{port}/health/live')
    output, _ = ended(process)
    assert 'documentation' not in output


def test_the_command_line_wins_over_the_settings(serve, port, project_folder):
    project_folder.write('shop/settings.py', "LISTEN = '127.0.0.1'\nPORT = 1\n")
    process, _ = serve('--listen', '127.0.0.2', '--listen', '::1', '--port', str(port))
    assert answer(f'http://127.0.0.2:{port}/health/live') == answer(f'http://[::1]:{port}/health/live')
    with pytest.raises(OSError, match='refused'):
        answer(f'http://127.0.0.1:{port}/health/live')
    ended(process)


def test_requests_are_logged_in_debug_only(serve, port, project_folder):
    project_folder.write('shop/settings.py', "LISTEN = '127.0.0.1'\n")
    process, _ = serve('--port', str(port))
    answer(f'http://127.0.0.1:{port}/health/live')
    _, quiet = ended(process)
    assert '/health/live' not in quiet
    project_folder.write('shop/settings.py', "LISTEN = '127.0.0.1'\nDEBUG = True\n")
    process, _ = serve('--port', str(port))
    answer(f'http://127.0.0.1:{port}/health/live')
    _, logged = ended(process)
    assert 'GET /health/live' in logged


@pytest.mark.parametrize('arguments', [(), ('--workers', '2'), ('--reload',)])
def test_a_port_in_use_is_one_line(project_folder, arguments):
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        result = project_folder.run('runserver', '--listen', '127.0.0.1', '--port', str(port), *arguments)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f'Error: port {port} of 127.0.0.1 is in use by another process: '
        'end that one, or choose another port (--port or PORT)'
    ]


@pytest.mark.parametrize(
    'arguments', [('--port', '65536'), ('--port', 'x'), ('--workers', '0'), ('--reload', '--workers', '2')]
)
def test_options_that_make_no_sense_are_usage_errors(project_folder, arguments):
    assert project_folder.run('runserver', *arguments).returncode == 2


def test_an_unhealthy_service_does_not_start(project_folder, port):
    project_folder.write(
        'shop/app.py',
        """
        from colibris import app

        def get_health():
            raise app.HealthException('the moon is down')
    """,
    )
    result = project_folder.run('runserver', '--listen', '127.0.0.1', '--port', str(port))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        'Error: the service does not start, as it is not healthy: the moon is down'
    )
    assert 'Serving' not in result.stdout


def test_a_database_that_cannot_be_reached_is_named(project_folder, port):
    pytest.importorskip('colibris.persist.postgresql')
    project_folder.write('shop/settings.py', "DATABASE = 'postgresql://someone:secret@127.0.0.1:1/nothing'\n")
    result = project_folder.run('runserver', '--listen', '127.0.0.1', '--port', str(port))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith('Error: DATABASE: PostgreSQL at 127.0.0.1:1')
    assert 'secret' not in line


def test_what_was_opened_is_closed_when_the_start_fails(project_folder, port):
    project_folder.write(
        'shop/app.py',
        """
        def init(app):
            async def opened(app):
                yield
                print('closed')

            app.cleanup_ctx.append(opened)
            raise LookupError('no luck')
    """,
    )
    project_folder.install(
        'stock',
        """
        from colibris.subsystems import Backend, Subsystem

        class StockBackend(Backend):
            async def open(self):
                print('opened')

            async def close(self):
                print('closed')

        class StockSubsystem(Subsystem):
            name, setting, group, base, package = 'stock', 'STOCK', 'stock.backends', StockBackend, 'stock'

        subsystem = StockSubsystem()
        """,
        '[colibris.subsystems]\nSTOCK = stock:subsystem\n',
    )
    project_folder.write('shop/settings.py', "STOCK = {'backend': 'stock.StockBackend'}\n")
    result = project_folder.run('runserver', '--listen', '127.0.0.1', '--port', str(port))
    assert result.returncode == 1
    assert result.stdout.splitlines() == ['opened', 'closed']
    assert result.stderr == 'Error: shop/app.py, line 8: LookupError: no luck\n'


def test_a_request_that_cannot_be_parsed_gets_the_envelope(serve, port):
    process, _ = serve('--listen', '127.0.0.1', '--port', str(port))
    with socket.create_connection(('127.0.0.1', port), timeout=5) as client:
        client.sendall(b'nonsense\r\n\r\n')
        received = b''.join(iter(lambda: client.recv(1000), b''))
    assert received.startswith(b'HTTP/1.0 400')
    assert b'"code":"invalid_request"' in received
    with contextlib.suppress(HTTPError):
        answer(f'http://127.0.0.1:{port}/nothing')
    ended(process)


def test_the_end_does_not_wait_when_nobody_is_connected(serve, port):
    process, _ = serve('--listen', '127.0.0.1', '--port', str(port))
    began = time.monotonic()
    ended(process)
    assert time.monotonic() - began < 3
