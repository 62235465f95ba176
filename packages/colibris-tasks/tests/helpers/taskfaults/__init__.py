"""A project whose workers and services the tests of faults kill."""
