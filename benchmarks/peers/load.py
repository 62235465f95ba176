"""The load generator: wrk, on the core that the server does not have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.machine import LOAD_CORE
from benchmarks.peers.workloads import Workload

CONNECTIONS = 32
_REPORT = """
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of the load generator found; latencies in microseconds."""

    requests: int
    microseconds: int
    p50: int
    p99: int
    errors: int

    @property
    def per_second(self) -> float:
        return self.requests / (self.microseconds / 1e6)


def require_wrk() -> None:
    """End with a message unless wrk is installed."""
    if shutil.which('wrk') is None:
        sys.exit('wrk is missing: install it (Debian: apt-get install wrk; elsewhere: https://github.com/wg/wrk)')


def generate(workload: Workload, port: int, seconds: float, token: str, folder: Path) -> Load:
    """Send requests of *workload* for some *seconds*; what wrk is told is written into *folder*."""
    script = folder / f'{workload.name}.lua'
    script.write_text(_script(workload, token))
    url = f'http://127.0.0.1:{port}{workload.path}'
    command = ['taskset', '-c', str(LOAD_CORE), 'wrk', '-t1', f'-c{CONNECTIONS}', f'-d{max(1, round(seconds))}s']
    output = subprocess.run([*command, '-s', script, url], capture_output=True, text=True, check=True).stdout
    result = next((line for line in output.splitlines() if line.startswith('RESULT ')), None)
    if result is None:
        raise RuntimeError(f'wrk printed no result:\n{output}')
    return Load(**json.loads(result.removeprefix('RESULT ')))


def _script(workload: Workload, token: str) -> str:
    lines = [f'wrk.method = "{workload.method}"']
    if workload.body is not None:
        body = json.dumps(workload.body, separators=(',', ':'))
        lines += [f'wrk.body = [==[{body}]==]', 'wrk.headers["Content-Type"] = "application/json"']
    if workload.with_token:
        lines.append(f'wrk.headers["Authorization"] = "Bearer {token}"')
    return '\n'.join(lines) + _REPORT
