"""What travels between a service and its workers: messages and outcomes, as signed bytes."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from colibris import serialization
from colibris.taskqueue.errors import InvalidMessage, TooLarge

#: The form of what is written; it changes when old workers could not read it any more.
_VERSION = 1
_SIGNATURE = 32


class Status(StrEnum):
    """Where a task stands."""

    DELAYED = 'delayed'  #: waits for its time: it was enqueued with a delay, or is to be tried again
    QUEUED = 'queued'
    RUNNING = 'running'
    SUCCEEDED = 'succeeded'
    FAILED = 'failed'  #: for good; it is among the dead letters
    CANCELLED = 'cancelled'
    UNKNOWN = 'unknown'

    @property
    def finished(self) -> bool:
        """Whether the task will not run any more."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


def new_id() -> str:
    """Return an id that nobody can guess: 128 random bits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One task: the function to run, by name, and how. Times are in seconds."""

    id: str = field(default_factory=new_id)
    function: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = 'default'
    #: How often it is tried again after a failure.
    retries: int = 0
    #: How many tries have failed so far.
    attempt: int = 0
    time_limit: float | None = None
    unique_key: str | None = None
    #: When it was made, by the clock of whoever made it; for people, nothing is decided by it.
    created: float = field(default_factory=time.time)
    #: The id of the request for which it runs, and what continues the trace of that, if there are such.
    request_id: str | None = None
    trace: Mapping[str, str] = field(default_factory=dict)

    def next_attempt(self) -> Message:
        """Return the message of the next try."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True, slots=True)
class Failure:
    """The error of a task, as text."""

    type: str
    message: str
    traceback: str = ''


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: SUCCEEDED with a value, FAILED with a failure, or CANCELLED."""

    status: Status
    value: Any = None
    failure: Failure | None = None


class Codec:
    """Makes bytes of messages and outcomes and signs them with a key derived from *secret*.

    Neither takes more than *max_size* bytes.
    """

    def __init__(self, secret: bytes, *, max_size: int) -> None:
        self._messages = _Key(secret, b'colibris.taskqueue.messages')
        self._outcomes = _Key(secret, b'colibris.taskqueue.outcomes')
        self._ids = _Key(secret, b'colibris.taskqueue.ids')
        self._max_size = max_size

    def derive_id(self, text: str) -> str:
        """Return the one id that stands for *text*; nobody can guess it who does not know the secret."""
        return self._ids.sign(text.encode())[:16].hex()

    def encode(self, message: Message) -> bytes:
        """Return *message* as signed bytes.

        Raises TypeError for an argument that cannot travel, naming it, and TooLarge.
        """
        fields = (
            *(message.id, message.function, message.queue, message.retries, message.attempt),
            *(message.time_limit, message.unique_key, message.created),
        )
        origin = (message.request_id, dict(message.trace)) if message.request_id or message.trace else ()
        try:
            body = serialization.dumps([_VERSION, *fields, list(message.args), dict(message.kwargs), *origin])
        except TypeError:
            _blame_argument(message)
            raise
        if len(body) > self._max_size:
            raise TooLarge(_too_large_message(message, len(body), self._max_size))
        return self._messages.sign(body) + body

    def decode(self, data: bytes) -> Message:
        """Return the message that *data* holds. Raises InvalidMessage unless this project has signed it."""
        content = serialization.loads(self._messages.verified(data, 'message'))
        if content[0] != _VERSION:
            raise InvalidMessage(f'the message has the form {content[0]!r}, of another release than this worker')
        _, id, function, queue, retries, attempt, time_limit, unique_key, created, args, kwargs, *origin = content
        request_id, trace = origin or (None, {})
        return Message(
            id=id,
            function=function,
            args=args,
            kwargs=kwargs,
            queue=queue,
            retries=retries,
            attempt=attempt,
            time_limit=time_limit,
            unique_key=unique_key,
            created=created,
            request_id=request_id,
            trace=trace,
        )

    def encode_outcome(self, task_id: str, outcome: Outcome) -> bytes:
        """Return the outcome of a task as signed bytes. Raises TypeError for a value that cannot travel, TooLarge.

        A failure is never too large: its text is bounded, and somebody has to learn of it.
        """
        failure = outcome.failure
        error = None if failure is None else [failure.type, failure.message, failure.traceback]
        try:
            body = serialization.dumps([_VERSION, str(outcome.status), outcome.value, error])
        except TypeError:
            _blame_result(outcome.value)
            raise
        if failure is None and len(body) > self._max_size:
            raise TooLarge(f'the result takes {len(body)} bytes; max_message_size is {self._max_size}')
        return self._outcomes.sign(body, task_id) + body

    def decode_outcome(self, task_id: str, data: bytes) -> Outcome:
        """Return the outcome of the task that *data* holds. Raises InvalidMessage unless this project signed it."""
        version, status, value, error = serialization.loads(self._outcomes.verified(data, 'outcome', task_id))
        if version != _VERSION:
            raise InvalidMessage(f'the outcome of task {task_id} has the form {version!r}, of another release')
        return Outcome(Status(status), value, None if error is None else Failure(*error))


class _Key:
    """Signs for one purpose. A prepared HMAC is copied each time: a new one would give up the interpreter's lock."""

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        self._prepared = hmac.new(hmac.digest(secret, purpose, 'sha256'), digestmod='sha256')

    def sign(self, body: bytes, context: str = '') -> bytes:
        """Return the signature of *body*, which counts in *context* alone."""
        made = self._prepared.copy()
        made.update(context.encode())
        made.update(body)
        return made.digest()

    def verified(self, data: bytes, what: str, context: str = '') -> bytes:
        """Return what stands after the signature in *data*. Raises InvalidMessage if that is wrong."""
        body = data[_SIGNATURE:]
        if not hmac.compare_digest(self.sign(body, context), data[:_SIGNATURE]):
            raise InvalidMessage(
                f'the signature of the {what} is wrong: it was changed, or made by a service with another SECRET_KEY'
            )
        return body


def _blame_argument(message: Message) -> None:
    """Raise TypeError for the first argument that cannot travel."""
    named = [*((f'argument {index}', value) for index, value in enumerate(message.args, 1)), *message.kwargs.items()]
    for name, value in named:
        try:
            serialization.dumps(value)
        except TypeError as exc:
            shown = name if name.startswith('argument ') else f'the argument {name!r}'
            raise TypeError(f'{shown} of {message.function} cannot travel to a worker: {exc}') from exc


def _blame_result(value: object) -> None:
    """Raise TypeError if it is *value*, what a task returned, that cannot travel."""
    try:
        serialization.dumps(value)
    except TypeError as exc:
        raise TypeError(f'what the task returned cannot travel: {exc}') from None


def _too_large_message(message: Message, size: int, limit: int) -> str:
    sizes = {f'argument {index}': len(serialization.dumps(value)) for index, value in enumerate(message.args, 1)}
    sizes |= {f'the argument {name!r}': len(serialization.dumps(value)) for name, value in message.kwargs.items()}
    text = f'the message for {message.function} takes {size} bytes; max_message_size is {limit}'
    if not sizes:
        return text
    largest = max(sizes, key=lambda name: sizes[name])
    return f'{text}. Most of it is {largest}, with {sizes[largest]} bytes: keep it elsewhere and send where it is'
