"""The errors of background tasks."""

from __future__ import annotations


class TaskQueueError(Exception):
    """Raised when something about background tasks goes wrong; the root of all errors of this package."""


class TimeoutException(TaskQueueError, TimeoutError):
    """Raised when a result did not arrive within *timeout* seconds; the task may still run."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        super().__init__(f'the result of the task did not arrive within {timeout:g} s')


class TaskExecException(TaskQueueError):
    """Raised when a task failed: *type*, *message* and *traceback* are those of its error, as text."""

    def __init__(self, type: str, message: str, traceback: str = '') -> None:
        self.type = type
        self.message = message
        self.traceback = traceback
        super().__init__(f'{type}: {message}' if message else type)


class TaskCancelled(TaskQueueError):
    """Raised when the result of a task is asked for that was cancelled before it started."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f'task {task_id} was cancelled')


class TaskQueueUnavailable(TaskQueueError):
    """Raised when the queue cannot be reached at the moment, so that a task was not accepted or cannot be asked for."""


class UnknownTask(TaskQueueError):
    """Raised when nothing is known of a task: its id is wrong, or its result was kept for long enough and is gone."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(f'nothing is known of task {task_id!r}: there is none, or it finished long ago')


class Unsupported(TaskQueueError):
    """Raised when the engine cannot do what is asked of it."""


class FunctionError(TaskQueueError):
    """Raised when a function cannot be a task; *name* says which one."""

    def __init__(self, message: str, *, name: str) -> None:
        self.name = name
        super().__init__(message)


class NotAllowed(FunctionError):
    """Raised when a function lies outside of the project's package and of the modules that may hold tasks."""


class NotFound(FunctionError):
    """Raised when a message names a function that does not exist, or does not exist any more."""


class InvalidMessage(TaskQueueError):
    """Raised when a message or an outcome was not made by this project, or was changed on its way."""


class TooLarge(TaskQueueError, ValueError):
    """Raised when the arguments or the result of a task take more bytes than are allowed."""
