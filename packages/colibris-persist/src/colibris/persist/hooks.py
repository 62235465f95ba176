"""The callbacks that wait for the commit of one block."""

from __future__ import annotations

from colibris import transactions


class CommitHooks(list[transactions.Callback]):
    """What `colibris.transactions.on_commit` fills while a block is open."""

    _outer: list[transactions.Callback] | None = None
    _closed = False

    def collect(self) -> None:
        """Collect the callbacks of the running task from now on."""
        outer = transactions.hooks.get()
        self._outer = None if isinstance(outer, CommitHooks) and outer._closed else outer
        transactions.hooks.set(self)

    def stop(self) -> None:
        """Let the block around this one, if any, collect again."""
        transactions.hooks.set(self._outer)
        self._closed = True

    async def hand_on(self) -> None:
        """Leave the callbacks to the block around, or run them if there is none."""
        if self._outer is None:
            await transactions.run_hooks(self)
        else:
            self._outer.extend(self)

    def append(self, callback: transactions.Callback) -> None:
        """Add *callback*. In a task that has outlived the block there is nothing to wait for: it runs now."""
        if not self._closed:
            super().append(callback)
            return
        transactions.hooks.set(None)
        transactions.on_commit(callback)
