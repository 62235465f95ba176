"""Query plans: what is known at start-up of how a view reads and writes its rows, so that no instance has to be made.

A plan answers where that is provably the same as what the ORM gives; where it is not, there is no plan.
"""
