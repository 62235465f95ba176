"""A project with models of every kind, which the tests of model views use."""
