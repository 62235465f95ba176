"""Everything comes from the environment, as each test has its own."""

import json
import os
import time

SECRET_KEY = 'the secret of the project that is killed'
TASK_QUEUE = json.loads(os.environ['TASKFAULTS_QUEUE'])
if (database := json.loads(os.environ['TASKFAULTS_DATABASE'])) is not None:
    DATABASE = database

if 'TASKFAULTS_CLOCK' in os.environ:
    # The clock is set back by an hour a second after the start, and time.time() is what programs see of it.
    begun, real = time.monotonic(), time.time
    time.time = lambda: real() - (3600 if time.monotonic() - begun > 1 else 0)
