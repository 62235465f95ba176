"""The tables of background tasks, one module each: a project gets those that its TASK_QUEUE needs."""
