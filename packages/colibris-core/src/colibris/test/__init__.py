"""What the tests of a project build on: a plug-in for pytest, its fixtures, and helpers for assertions (`utils`)."""
