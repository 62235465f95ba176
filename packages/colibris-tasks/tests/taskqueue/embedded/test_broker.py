"""Workers on the file, in this process."""

import asyncio
import time

import pytest

from colibris.taskqueue.embedded import EmbeddedBackend, tasks
from colibris.taskqueue.embedded.broker import EmbeddedBroker
from colibris.taskqueue.messages import Message, Status


@pytest.fixture
async def backend(path, context, jobs):
    backend = EmbeddedBackend(path=str(path))
    backend.bind(context)
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
async def start(backend, jobs):
    workers = []

    async def start(threads=4, queues=('default',)):
        worker = backend.make_worker(threads=threads, queues=queues)
        await worker.start()
        workers.append(worker)
        return worker

    yield start
    jobs.gate.set()
    for worker in workers:
        await worker.stop()


@pytest.fixture
def send(backend):
    async def send(function, *args, delay=0, awaited=False, **options):
        message = Message(function=f'embedded_jobs:{function}', args=args, **options)
        return await backend.send(message, backend.context.codec.encode(message), delay=delay, awaited=awaited)

    return send


@pytest.fixture
def execute(backend, send):
    async def execute(function, *args, **options):
        async with asyncio.timeout(10):
            return await backend.wait(await send(function, *args, awaited=True, **options))

    return execute


async def until(condition):
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110  # what is waited for happens in threads
            await asyncio.sleep(0.01)


async def shortest(execute):
    """Return how long a task takes that has nothing to do, where the machine does not hold it up."""
    times = []
    for _ in range(5):
        await asyncio.sleep(0.3)
        before = time.perf_counter()
        await execute('work')
        times.append(time.perf_counter() - before)
    return min(times)


async def test_tasks_run_and_their_results_come_back(start, execute):
    await start()
    assert (await execute('work', [1, 'two'])).value == [1, 'two']
    assert (await execute('work_async', 3)).value == 3


async def test_an_idle_worker_starts_at_once_and_does_not_use_the_processor(start, execute):
    await start(threads=8)
    await execute('work')
    await asyncio.sleep(0.3)
    used, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(3)
    assert (time.process_time() - used) / (time.perf_counter() - begun) < 0.02
    assert await shortest(execute) < 0.05


async def test_without_bells_a_worker_looks_at_the_file(start, execute, path):
    path.with_name(f'{path.name}-bells').write_text('')
    await start()
    assert await shortest(execute) < 0.1


async def test_a_delayed_task_runs_when_it_is_due(start, send, backend, jobs):
    await start()
    before = time.monotonic()
    task_id = await send('work', 'late', delay=0.4, awaited=True)
    assert await backend.status(task_id) is Status.DELAYED
    async with asyncio.timeout(5):
        await backend.wait(task_id)
    assert 0.4 <= time.monotonic() - before < 1.5


async def test_a_worker_takes_no_more_than_it_has_threads_whatever_the_number_of_queues(start, send, backend):
    for queue in ('default', 'mail', 'reports'):
        for _ in range(4):
            await send('wait_at_gate', queue=queue)
    await start(threads=3, queues=('default', 'mail', 'reports'))

    async def busy():
        return (await backend.stats()).running == 3

    await until(busy)
    await asyncio.sleep(0.3)
    stats = await backend.stats()
    assert (stats.running, stats.length) == (3, 9)


async def test_a_worker_serves_its_queues_alone(start, send, backend, jobs):
    await start(queues=('mail',))
    other, mine = await send('work', queue='default'), await send('work', queue='mail', awaited=True)
    await backend.wait(mine)
    assert await backend.status(other) is Status.QUEUED


async def test_no_queue_is_starved_by_another(start, send, backend):
    for _ in range(300):
        await send('work', queue='default')
    await start(threads=2, queues=('default', 'mail'))
    task_id = await send('work', queue='mail', awaited=True)
    async with asyncio.timeout(5):
        await backend.wait(task_id)


async def test_tasks_of_one_thread_run_in_order(start, send, backend, jobs):
    for number in range(50):
        last = await send('work', number)
    await start(threads=1)
    await backend.wait(last)
    assert jobs.ran == list(range(50))


async def test_what_was_taken_and_does_not_finish_is_put_back_when_the_worker_stops(make_context, path, jobs):
    backend = EmbeddedBackend(path=str(path))
    backend.bind(make_context(shutdown_timeout=0.3, grace=0.3))
    await backend.open()
    worker = backend.make_worker(threads=2, queues=('default',))
    ids = []
    for _ in range(3):
        message = Message(function='embedded_jobs:wait_at_gate')
        ids.append(await backend.send(message, backend.context.codec.encode(message)))
    await worker.start()

    async def busy():
        return len(jobs.ran) == 2

    await until(busy)
    await worker.stop()
    stats = await backend.stats()
    assert (stats.length, stats.running, stats.workers) == (3, 0, ())
    assert worker.is_busy
    jobs.gate.set()
    await backend.close()


async def test_statistics_list_the_workers(start, backend):
    await start(threads=3, queues=('default', 'mail'))
    (worker,) = (await backend.stats()).workers
    assert (worker.threads, worker.queues) == (3, ('default', 'mail'))
    assert worker.seen < 2


async def test_a_removed_file_does_not_stop_the_worker(start, execute, path):
    await start()
    path.rename(path.with_name('away'))
    await asyncio.sleep(0.6)
    path.with_name('away').rename(path)
    assert (await execute('work', 1)).value == 1


async def test_a_task_whose_end_cannot_be_written_is_settled_when_it_can(start, send, backend, jobs, path):
    await start()
    task_id = await send('wait_at_gate', 'x', awaited=True)

    async def running():
        return bool(jobs.ran)

    await until(running)
    path.rename(path.with_name('away'))
    jobs.gate.set()
    await asyncio.sleep(0.3)
    path.with_name('away').rename(path)
    async with asyncio.timeout(5):
        assert (await backend.wait(task_id)).value == 'x'
    assert jobs.ran == ['x']


@pytest.fixture
def make_broker(path, context):
    brokers = []

    def make(worker_id):
        broker = EmbeddedBroker(path, context, worker_id, ('default',), 2)
        broker.open()
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.close()


@pytest.fixture
def queued(queue, run, context):
    run(tasks.add, context.namespace, Message(id='a', function='embedded_jobs:work'), b'')


def take(broker):
    return next(broker.consume('default', prefetch=2, timeout=100))


def test_a_task_of_which_nothing_is_known_at_its_end_is_queued_again_with_a_loss(make_broker, queued):
    broker = make_broker('one')
    consumer = broker.consume('default', prefetch=2, timeout=100)
    task = next(consumer)
    assert broker.begin(task) == (Status.RUNNING, 0)
    consumer.ack(task)  # without `settle`
    assert broker.begin(next(consumer)) == (Status.RUNNING, 1)


def test_what_a_consumer_has_and_nobody_began_is_put_back_when_it_closes(make_broker, queued):
    broker = make_broker('one')
    consumer = broker.consume('default', prefetch=2, timeout=100)
    consumer._wait_and_take(time.monotonic())
    consumer.close()
    assert broker.begin(take(broker)) == (Status.RUNNING, 0)


def test_a_consumer_takes_nothing_once_it_is_to_stop(make_broker, queued):
    broker = make_broker('one')
    broker.stopping.set()
    assert take(broker) is None


def test_a_worker_without_signs_of_life_loses_its_tasks(make_broker, queued, context, eventually):
    frozen, other = make_broker('frozen'), make_broker('other')
    task = take(frozen)
    begun = time.monotonic()

    def given_back():
        other.beat()
        return (taken := take(other)) is not None and other.begin(taken) == (Status.RUNNING, 1)

    eventually(given_back)
    assert context.policy.worker_timeout * 0.6 < time.monotonic() - begun < context.policy.worker_timeout * 3
    frozen.beat()  # it is back, and known again
    frozen.done(task)
    assert {member.bell for member in others(other)} == {frozen._bell.name}


def others(broker):
    from colibris.taskqueue.embedded import members

    return broker._queue.reader.read(lambda session: members.others(session, 'shop', broker.worker_id))


def test_space_of_much_that_was_removed_is_given_back(make_broker, run, path, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.embedded.broker._FREE_PAGES', 10)
    broker = make_broker('one')
    run(lambda session: session.execute('CREATE TABLE filling (data BLOB)'))
    run(lambda session: session.execute('INSERT INTO filling VALUES (zeroblob(4000000))'))
    run(lambda session: session.execute('DELETE FROM filling'))
    for _ in range(8):
        broker._keep_house(time.monotonic())
    pages = broker._queue.reader.read(lambda session: session.execute('PRAGMA page_count').fetchone()[0])
    assert pages < 200
