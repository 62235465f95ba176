"""Workers that take the place of others: after SIGHUP, at an age, at a size, and from the spare."""

import asyncio
import fcntl
import os
import pty
import signal
import subprocess
import termios

import psutil
import pytest


async def worker_of(shop, connect):
    return int((await (await connect(shop.port)).get())[1])


async def both_up(shop):
    await shop.until_logged('worker 2 serves')
    return shop.pids()


class TestReload:
    async def test_sighup_serves_new_code_and_settings_and_loses_no_request(self, shop, crowd):
        shop.start('--workers', '2')
        old = await both_up(shop)
        async with crowd(shop.port) as clients:
            await asyncio.sleep(1)
            views = shop.views.replace('import asyncio, os', 'import asyncio; from colibris.conf import settings')
            shop.folder.write('shop/routes.py', views.replace('os.getpid()', 'settings.ANSWER'))
            shop.folder.write('shop/settings.py', 'WORKER_SPARE = False\nANSWER = 7\n')
            shop.process.send_signal(signal.SIGHUP)
            await shop.until_logged('reloaded: ')
            await shop.until(lambda: not old & shop.pids())
            clients.pids.clear()
            await asyncio.sleep(0.5)
        assert (clients.lost, clients.refused) == (0, 0)
        assert clients.pids.keys() == {7}
        assert len(shop.pids()) == 2
        shop.process.terminate()
        assert await shop.exit_code() == 0

    async def test_sighup_to_the_whole_group_is_the_same(self, shop, crowd):
        shop.start('--workers', '2')
        old = await both_up(shop)
        async with crowd(shop.port) as clients:
            shop.signal_all(signal.SIGHUP)
            await shop.until_logged('reloaded: ')
            await shop.until(lambda: not old & shop.pids())
        assert (clients.lost, clients.refused) == (0, 0)

    @pytest.mark.parametrize(
        ('file', 'source'),
        [('shop/routes.py', 'ROUTES = [\n'), ('shop/app.py', 'def init(app):\n    raise LookupError("no luck")\n')],
    )
    async def test_what_does_not_start_leaves_the_old_ones_in_place(self, shop, connect, file, source):
        shop.start('--workers', '2')
        old = await both_up(shop)
        shop.folder.write(file, source)
        shop.process.send_signal(signal.SIGHUP)
        await shop.until_logged('not reloaded: the old workers go on')
        assert shop.pids() == old
        assert 'Error: shop/' in shop.log
        assert await worker_of(shop, connect) in old
        shop.folder.write(file, shop.views if 'routes' in file else '')
        shop.process.send_signal(signal.SIGHUP)
        await shop.until_logged('\\breloaded: ')
        await shop.until(lambda: not old & shop.pids())

    async def test_a_stop_while_new_workers_start_ends_them_too(self, shop):
        shop.start('--workers', '2')
        await both_up(shop)
        shop.folder.write('shop/app.py', 'import asyncio\n\nasync def init(app):\n    await asyncio.sleep(60)\n')
        shop.process.send_signal(signal.SIGHUP)
        await shop.until(lambda: len(shop.pids()) == 3)
        pids = shop.pids()
        await asyncio.sleep(1)
        shop.process.terminate()
        assert await shop.exit_code() == 0
        assert not any(psutil.pid_exists(pid) for pid in pids)

    async def test_a_stop_ends_those_that_are_up_already_gracefully(self, shop, connect):
        shop.start('--workers', '2')
        old = await both_up(shop)
        source = """
            import asyncio, os

            async def init(app):
                try:
                    os.mkdir('first')
                except FileExistsError:
                    await asyncio.sleep(60)
        """
        shop.folder.write('shop/app.py', source)
        shop.process.send_signal(signal.SIGHUP)
        await shop.until(lambda: len(shop.pids()) == 4)
        new = shop.pids() - old
        while True:
            client = await connect(shop.port)
            if int((await client.get())[1]) in new:
                break
        answer = asyncio.create_task(client.get('/?s=2'))
        await asyncio.sleep(0.2)
        shop.process.terminate()
        assert (await answer)[0] == 200
        assert await shop.exit_code() == 0
        assert not any(psutil.pid_exists(pid) for pid in new)

    async def test_companions_are_replaced_too(self, shop):
        shop.folder.install(
            'beside',
            """
            import click
            import time
            from colibris.commands.runserver import companions

            def with_helper(command):
                def add(ctx, param, value):
                    if value:
                        companions(ctx).append(('helper',))

                command.params.append(click.Option(['--with-helper'], is_flag=True, expose_value=False, callback=add))
                return command

            @click.command()
            def helper():
                time.sleep(60)
            """,
            '[colibris.commands]\nhelper = beside:helper\n[colibris.command_options]\nrunserver = beside:with_helper\n',
        )
        shop.start('--with-helper')
        await shop.until_logged('helper serves')
        old = shop.pids()
        shop.process.send_signal(signal.SIGHUP)
        await shop.until(lambda: len(shop.pids()) == 2 and not old & shop.pids())

    @pytest.mark.parametrize('arguments', [(), ('--workers', '1')])
    def test_a_terminal_that_goes_away_ends_the_service(self, shop, arguments):
        master, slave = pty.openpty()
        process = subprocess.Popen(
            shop.folder.command('runserver', '--port', str(shop.port), *arguments),
            cwd=shop.folder.root,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        try:
            os.close(slave)
            process.stdout.readline()
            os.close(master)
            assert process.wait(15) == 0
        finally:
            process.kill()
            process.communicate()

    async def test_one_process_ends_gracefully_on_sighup(self, shop, connect):
        shop.start()
        answer = asyncio.create_task((await connect(shop.port)).get('/?s=1'))
        await asyncio.sleep(0.3)
        shop.process.send_signal(signal.SIGHUP)
        assert (await answer)[0] == 200
        assert await shop.exit_code() == 0


class TestRecycling:
    async def test_old_workers_are_replaced_and_no_request_is_lost(self, shop, crowd):
        shop.folder.write('shop/settings.py', 'WORKER_SPARE = False\nWORKER_MAX_AGE = 3\n')
        shop.start('--workers', '2')
        old = await both_up(shop)
        async with crowd(shop.port) as clients:
            await shop.until(lambda: not old & shop.pids(), 30)
        assert (clients.lost, clients.refused) == (0, 0)
        assert 'worker 1 is replaced: it is ' in shop.log
        assert 'WORKER_MAX_AGE is 3' in shop.log

    async def test_a_worker_that_takes_too_much_memory_is_replaced(self, shop, connect):
        shop.folder.write('shop/settings.py', 'WORKER_SPARE = False\nWORKER_MAX_MEMORY = 200_000_000\n')
        shop.folder.write(
            'shop/routes.py',
            """
            import os
            from aiohttp import web

            kept = []

            async def get(request):
                kept.append(b'x' * 150_000_000)
                return os.getpid()

            ROUTES = [web.get('/', get)]
            """,
        )
        shop.start('--workers', '1')
        await asyncio.sleep(7)
        (small,) = shop.pids()
        assert await worker_of(shop, connect) == small
        await shop.until(lambda: small not in shop.pids())
        assert 'bytes of memory (WORKER_MAX_MEMORY is 200000000)' in shop.log

    async def test_one_that_cannot_be_replaced_goes_on(self, shop, connect):
        shop.folder.write('shop/settings.py', 'WORKER_SPARE = False\nWORKER_MAX_AGE = 2\n')
        shop.start('--workers', '1')
        (old,) = shop.pids()
        shop.folder.write('shop/routes.py', 'ROUTES = [\n')
        await shop.until_logged('its successor does not come up')
        assert await worker_of(shop, connect) == old


class TestSpare:
    async def started(self, shop, connect):
        shop.folder.write('shop/settings.py', '')
        shop.start('--workers', '1')
        serving = await worker_of(shop, connect)
        (spare,) = await shop.until_logged(r'a spare worker is loaded \(process (\d+)\)')
        return serving, int(spare)

    async def test_it_takes_the_place_of_a_dead_worker_and_is_replaced_itself(self, shop, connect):
        serving, spare = await self.started(shop, connect)
        psutil.Process(serving).kill()
        (seconds,) = await shop.until_logged('worker 1 is back after (.*) seconds')
        assert float(seconds) < 1
        assert await worker_of(shop, connect) == spare
        await shop.until(lambda: len(shop.pids()) == 2)

    async def test_it_does_not_serve_before(self, shop, connect):
        serving, _ = await self.started(shop, connect)
        assert {await worker_of(shop, connect) for _ in range(50)} == {serving}

    async def test_one_that_dies_is_replaced(self, shop, connect):
        serving, spare = await self.started(shop, connect)
        psutil.Process(spare).kill()
        await shop.until(lambda: len(shop.pids() - {spare}) == 2)
        assert serving in shop.pids()

    async def test_after_a_reload_it_has_the_new_code(self, shop, connect):
        serving, spare = await self.started(shop, connect)
        shop.folder.write('shop/routes.py', shop.views.replace('os.getpid()', '7'))
        shop.process.send_signal(signal.SIGHUP)
        await shop.until_logged('a spare worker is loaded', 2)
        await shop.until(lambda: not {serving, spare} & shop.pids())
        assert await worker_of(shop, connect) == 7
        for worker in shop.workers():
            worker.kill()
        await shop.until_logged('worker 1 is back')
        assert await worker_of(shop, connect) == 7

    @pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
    async def test_it_ends_with_the_service(self, shop, connect, number):
        _, spare = await self.started(shop, connect)
        shop.signal_all(number)
        assert await shop.exit_code() == 0
        assert not psutil.pid_exists(spare)

    async def test_it_ends_when_the_parent_is_killed(self, shop, connect):
        _, spare = await self.started(shop, connect)
        process = psutil.Process(spare)
        shop.process.kill()
        await shop.until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


class TestFourWorkersAnd64Clients:
    @pytest.fixture
    async def four(self, shop):
        shop.folder.write('shop/settings.py', '')
        shop.start('--workers', '4')
        await shop.until_logged('a spare worker is loaded', limit=30)
        return shop

    async def test_a_worker_that_is_killed_loses_its_own_requests_and_is_back_within_a_second(self, four, crowd):
        async with crowd(four.port) as clients:
            await asyncio.sleep(2)
            victim = max(clients.pids, key=clients.pids.__getitem__)
            in_flight = len(psutil.Process(victim).net_connections())
            psutil.Process(victim).kill()
            (seconds,) = await four.until_logged('worker . is back after (.*) seconds')
            lost = clients.lost
            clients.pids.clear()
            await asyncio.sleep(2)
        assert float(seconds) < 1
        assert lost <= in_flight
        assert (clients.lost, clients.refused) == (lost, 0)
        assert victim not in clients.pids
        assert len(clients.pids) == 4

    async def test_sigterm_loses_none(self, four, crowd):
        async with crowd(four.port) as clients:
            await asyncio.sleep(2)
            four.process.terminate()
            assert await four.exit_code() == 0
        assert clients.answers > 64
        assert clients.lost == 0

    async def test_sighup_loses_none(self, four, crowd):
        old = four.pids()
        async with crowd(four.port) as clients:
            await asyncio.sleep(1)
            four.process.send_signal(signal.SIGHUP)
            await four.until_logged('reloaded: ', limit=40)
            await four.until(lambda: not old & four.pids(), 20)
        assert (clients.lost, clients.refused) == (0, 0)
