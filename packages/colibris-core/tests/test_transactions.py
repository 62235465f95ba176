"""What waits for a commit."""

import asyncio

from colibris import transactions


def test_outside_of_a_transaction_a_callback_runs_at_once():
    ran = []
    transactions.on_commit(lambda: ran.append(1))
    assert ran == [1]


async def test_an_async_callback_runs_as_a_task_that_shutdown_waits_for():
    ran = []

    async def callback():
        await asyncio.sleep(0.01)
        ran.append(1)

    transactions.on_commit(callback)
    assert ran == []
    await transactions.drain()
    assert ran == [1]


async def test_within_a_transaction_it_waits():
    ran, waiting = [], []
    token = transactions.hooks.set(waiting)
    try:
        transactions.on_commit(lambda: ran.append(1))
        assert ran == []
    finally:
        transactions.hooks.reset(token)
    await transactions.run_hooks(waiting)
    assert ran == [1]


async def test_a_callback_that_fails_is_logged_and_the_next_one_runs(caplog):
    ran = []

    async def fails():
        raise RuntimeError('broken hook')

    await transactions.run_hooks([fails, lambda: ran.append(1)])
    assert ran == [1]
    assert 'broken hook' in caplog.text


async def test_a_task_that_fails_is_logged(caplog):
    async def fails():
        raise RuntimeError('broken task')

    transactions.on_commit(fails)
    await transactions.drain()
    await asyncio.sleep(0)
    assert 'broken task' in caplog.text
