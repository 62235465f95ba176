import asyncio
import contextlib
import signal
import time

import psutil
import pytest


async def until(condition, limit=10):
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, 'it did not happen in time'
        await asyncio.sleep(0.05)


async def test_sigterm_to_the_parent_loses_no_request(shop, hammer):
    shop.start('--workers', '2')
    answers = await hammer(shop.port, lambda: shop.process.send_signal(signal.SIGTERM), after=1)
    assert min(answers) > 0
    assert await shop.exit_code() == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_processes_at_once_loses_no_request(shop, hammer, number):
    shop.start('--workers', '2')
    answers = await hammer(shop.port, lambda: shop.signal_all(number), after=1)
    assert min(answers) > 0
    assert await shop.exit_code() == 0


async def test_all_workers_serve(shop, connect):
    shop.start('--workers', '2')
    await until(lambda: len(shop.workers()) == 2)
    expected = {str(worker.pid).encode() for worker in shop.workers()}
    pids = set()
    end = time.monotonic() + 10
    while pids != expected:
        assert time.monotonic() < end, 'one worker answers all requests'
        clients = [await connect(shop.port) for _ in range(20)]
        pids |= {body for _, body in await asyncio.gather(*(client.get('/?s=0.1') for client in clients))}


async def test_a_worker_that_is_killed_is_back_within_seconds_while_the_other_serves(shop, connect):
    shop.start('--workers', '2')
    await until(lambda: len(shop.workers()) == 2)
    first, second = shop.workers()
    first.kill()
    await until(lambda: first.pid not in {worker.pid for worker in shop.workers()})
    assert (await (await connect(shop.port)).get())[0] == 200
    await until(lambda: len(shop.workers()) == 2)
    assert second.pid in {worker.pid for worker in shop.workers()}
    shop.process.send_signal(signal.SIGTERM)
    assert await shop.exit_code() == 0
    assert 'worker 1 ended (signal SIGKILL); it is started again' in shop.log


async def test_if_the_start_fails_the_parent_ends_with_its_error_told_once(shop):
    shop.folder.write('shop/app.py', 'def init(app):\n    raise LookupError("no luck")\n')
    shop.start('--workers', '3', wait=False)
    assert await shop.exit_code() == 1
    assert shop.log == 'Error: shop/app.py, line 2: LookupError: no luck\n'


async def test_workers_that_cannot_start_again_are_tried_with_growing_pauses(shop):
    shop.start('--workers', '2')
    await until(lambda: len(shop.workers()) == 2)
    shop.folder.write('shop/app.py', 'def init(app):\n    raise LookupError("no luck")\n')
    shop.workers()[0].kill()
    pauses = await shop.until_logged('worker 1 ended .* in (.*) seconds', 3)
    assert pauses[:3] == ['0.1', '0.2', '0.4']
    shop.folder.write('shop/app.py', '')
    await until(lambda: len(shop.workers()) == 2)
    shop.process.send_signal(signal.SIGTERM)
    assert await shop.exit_code() == 0


async def test_workers_end_when_the_parent_is_killed(shop):
    shop.start('--workers', '2')
    await until(lambda: len(shop.workers()) == 2)
    workers = shop.workers()
    shop.process.kill()
    await until(lambda: not any(worker.is_running() and worker.status() != 'zombie' for worker in workers))


async def test_a_second_signal_ends_all_processes_at_once(shop, connect):
    shop.start('--workers', '2')
    await until(lambda: len(shop.workers()) == 2)
    workers = shop.workers()
    client = await connect(shop.port)
    client.writer.write(b'GET /?s=60 HTTP/1.1\r\nHost: x\r\n\r\n')
    await asyncio.sleep(0.3)
    shop.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    assert shop.process.poll() is None
    shop.process.send_signal(signal.SIGTERM)
    assert await shop.exit_code(2) == -signal.SIGTERM
    await until(lambda: not any(worker.is_running() for worker in workers), 2)


async def test_a_subsystem_has_a_process_run_beside_the_server(shop, connect):
    shop.folder.install(
        'beside',
        """
        import click
        import time
        from colibris.commands.runserver import companions

        def with_helper(command):
            def add(ctx, param, value):
                if value:
                    companions(ctx).append(('helper', '--tag', 'of-the-test'))

            command.params.append(click.Option(['--with-helper'], is_flag=True, expose_value=False, callback=add))
            return command

        @click.command()
        @click.option('--tag')
        def helper(tag):
            time.sleep(60)
        """,
        '[colibris.commands]\nhelper = beside:helper\n[colibris.command_options]\nrunserver = beside:with_helper\n',
    )
    shop.start('--with-helper')

    def helpers():
        found = []
        for process in shop.workers():
            with contextlib.suppress(psutil.Error):
                found += [process] if 'of-the-test' in process.cmdline() else []
        return found

    await until(lambda: helpers() and len(shop.workers()) == 2)
    assert (await (await connect(shop.port)).get())[0] == 200
    (helper,) = helpers()
    helper.kill()
    await until(lambda: helpers() and helpers()[0].pid != helper.pid)
    shop.process.send_signal(signal.SIGTERM)
    await shop.exit_code()


class TestReload:
    async def answer(self, shop, connect):
        return (await asyncio.wait_for((await connect(shop.port)).get(), 10))[1]

    async def test_a_change_is_served(self, shop, connect):
        shop.start('--reload')
        before = await self.answer(shop, connect)
        shop.folder.write('shop/routes.py', shop.views.replace('os.getpid()', '"changed"'))
        await until_answer(lambda: self.answer(shop, connect), b'"changed"')
        assert before.isdigit()

    @pytest.mark.parametrize('name', ['.env', 'shop/.env.default', 'shop/templates/page.html'])
    async def test_files_that_are_no_python_count_too(self, shop, connect, name):
        shop.folder.write('shop/templates/index.html', '')
        shop.start('--reload')
        before = await self.answer(shop, connect)
        shop.folder.write(name, '')
        end = time.monotonic() + 10
        while await self.answer(shop, connect) == before:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)

    async def test_files_that_the_project_writes_do_not_count(self, shop, connect):
        shop.start('--reload')
        before = await self.answer(shop, connect)
        for name in ('shop/data.db', 'shop/__pycache__/x.pyc', 'upload.py'):
            shop.folder.write(name, '')
        await asyncio.sleep(2)
        assert await self.answer(shop, connect) == before

    async def test_a_syntax_error_is_told_and_survived(self, shop, connect):
        shop.start('--reload')
        await self.answer(shop, connect)
        shop.folder.write('shop/routes.py', 'ROUTES = [\n')
        (line,) = await shop.until_logged('.*SyntaxError.*')
        assert line == "Error: shop/routes.py, line 1: SyntaxError: '[' was never closed"
        shop.folder.write('shop/routes.py', shop.views.replace('os.getpid()', '"mended"'))
        await until_answer(lambda: self.answer(shop, connect), b'"mended"')
        shop.process.send_signal(signal.SIGINT)
        assert await shop.exit_code() == 0

    async def test_the_child_ends_with_the_parent(self, shop, connect):
        shop.start('--reload')
        pid = int(await self.answer(shop, connect))
        shop.process.send_signal(signal.SIGTERM)
        assert await shop.exit_code() == 0
        assert not psutil.pid_exists(pid)


async def until_answer(ask, expected):
    end = time.monotonic() + 10
    while await ask() != expected:
        assert time.monotonic() < end, 'the change is not served'
        await asyncio.sleep(0.1)


async def test_newcomers_are_refused_while_a_worker_finishes_a_request(shop, connect):
    shop.start('--workers', '2')
    answer = asyncio.create_task((await connect(shop.port)).get('/?s=4'))
    await asyncio.sleep(0.3)
    shop.process.terminate()
    await asyncio.sleep(1.5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(connect(shop.port), 1)
    assert not answer.done()
    assert (await answer)[0] == 200
    assert await shop.exit_code() == 0


class TestDrain:
    async def status(self, client, path='/health/ready'):
        return (await client.get(path))[0]

    @pytest.mark.parametrize('arguments', [(), ('--workers', '2')])
    async def test_it_is_unready_then_stops_accepting_then_finishes(self, shop, connect, arguments):
        shop.folder.write('shop/settings.py', "WORKER_SPARE = False\nSHUTDOWN = {'delay': 2, 'idle': 0.1}\n")
        shop.start(*arguments)
        if arguments:
            await shop.until_logged('worker 2 serves')
        clients = [await connect(shop.port) for _ in range(10)]
        assert {await self.status(client) for client in clients} == {200}
        answer = asyncio.create_task((await connect(shop.port)).get('/?s=4'))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        shop.process.terminate()
        await asyncio.sleep(0.5)
        assert {await self.status(client) for client in clients} == {503}
        newcomers = [await connect(shop.port) for _ in range(10)]
        assert {await self.status(client, '/') for client in newcomers} == {200}
        assert not any(client.closing() for client in newcomers)
        while True:
            try:
                assert await self.status(await connect(shop.port), '/') == 200
            except ConnectionRefusedError:
                break
            await asyncio.sleep(0.05)
        assert 1.9 < time.monotonic() - began < 3.5
        assert not answer.done()
        assert (await answer)[0] == 200
        assert await shop.exit_code() == 0

    async def test_a_signal_to_the_whole_group_drains_alike(self, shop, hammer):
        shop.folder.write('shop/settings.py', "WORKER_SPARE = False\nSHUTDOWN = {'delay': 1}\n")
        shop.start('--workers', '2')
        await shop.until_logged('worker 2 serves')
        began = time.monotonic()
        answers = await hammer(shop.port, lambda: shop.signal_all(signal.SIGTERM), after=0.5)
        assert min(answers) > 0
        assert time.monotonic() - began > 1.4
        assert await shop.exit_code() == 0

    @pytest.mark.parametrize('arguments', [(), ('--workers', '1')])
    async def test_somebody_at_the_keyboard_does_not_wait(self, shop, arguments):
        shop.folder.write('shop/settings.py', "WORKER_SPARE = False\nSHUTDOWN = {'delay': 30}\n")
        shop.start(*arguments)
        shop.signal_all(signal.SIGINT)
        assert await shop.exit_code(5) == 0

    async def test_the_settings_limit_how_long_it_finishes_and_closes(self, shop, connect):
        shop.folder.write('shop/settings.py', "SHUTDOWN = {'limit': 0.5, 'close': 0.5}\n")
        shop.folder.write(
            'shop/app.py',
            """
            import asyncio

            async def init(app):
                async def close(app):
                    await asyncio.sleep(60)
                app.on_cleanup.append(close)
            """,
        )
        shop.start()
        client = await connect(shop.port)
        client.writer.write(b'GET /?s=60 HTTP/1.1\r\nHost: x\r\n\r\n')
        await asyncio.sleep(0.3)
        shop.process.terminate()
        assert await shop.exit_code(6) == 0
        assert '1 connections did not finish within 0.5 seconds' in shop.log
        assert 'the application did not close within 0.5 seconds' in shop.log

    async def test_a_worker_that_is_told_alone_to_end_is_replaced(self, shop, connect):
        shop.start('--workers', '1')
        (worker,) = shop.workers()
        worker.terminate()
        await shop.until_logged('worker 1 is back')
        assert (await (await connect(shop.port)).get())[0] == 200
