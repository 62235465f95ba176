"""Which task runs here; by itself, as a service that only sends tasks needs nothing of what runs them."""

from __future__ import annotations

from contextvars import ContextVar

#: The id of the task that runs here.
running_task: ContextVar[str | None] = ContextVar('colibris_task_id', default=None)


def current_task_id() -> str | None:
    """Return the id of the task that runs here, None outside of tasks; it is the same in each of its tries."""
    return running_task.get()
