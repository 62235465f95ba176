"""Whether all peers do the same work: equal answers, and the same things refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from benchmarks.peers.server import Answer
from benchmarks.peers.workloads import REFUSALS, WORKLOADS, Workload

_TIME = re.compile(r'\d{4}-\d\d-\d\dT')


class Asked(Protocol):
    """Something that answers requests: a server."""

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer: ...


def normalise(value: Any) -> Any:
    """Return *value* of an answer so that it equals others that say the same: ``Z`` is ``+00:00`` in a time."""
    if isinstance(value, dict):
        return {key: normalise(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalise(item) for item in value]
    if isinstance(value, str) and _TIME.match(value):
        return datetime.fromisoformat(value).timestamp()
    return value


class Comparison:
    """Compares the answers of peers with those of the first one."""

    def __init__(self) -> None:
        self._expected: dict[str, Any] = {}

    def problems(self, server: Asked, works: Iterable[str], token: str) -> list[str]:
        """Return what is wrong with the answers of *server*; empty if nothing is."""
        works = tuple(works)
        found = [problem for name in works for problem in self._compare(server, WORKLOADS[name], token)]
        for refusal in REFUSALS:
            if refusal.workload in works:
                sent = {'good': token, 'wrong': spoil(token), None: None}[refusal.token]
                status = server.ask(refusal.method, refusal.path, refusal.body, sent).status
                if status not in refusal.statuses:
                    found.append(f'{refusal.workload}, {refusal.title}: {status} instead of {refusal.statuses}')
        return found

    def _compare(self, server: Asked, workload: Workload, token: str) -> list[str]:
        given = server.ask(workload.method, workload.path, workload.body, token if workload.with_token else None)
        if given.status not in workload.statuses:
            return [f'{workload.name}: {given.status} instead of {workload.statuses}: {given.body[:300]!r}']
        answer = normalise(json.loads(given.body))
        missing = [name for name in workload.made if answer.pop(name, None) is None]
        if missing:
            return [f'{workload.name}: the answer lacks {missing}']
        expected = self._expected.setdefault(workload.name, answer)
        return [] if answer == expected else [f'{workload.name}: {answer} instead of {expected}']


def spoil(token: str) -> str:
    """Return *token* with a wrong signature."""
    head, _, signature = token.rpartition('.')
    return f'{head}.{signature[::-1]}'
