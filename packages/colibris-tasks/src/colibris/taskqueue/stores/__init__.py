"""Where the state of tasks is kept: results, cancellations, unique keys, dead letters."""
