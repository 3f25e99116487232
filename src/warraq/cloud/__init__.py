"""A rented GPU: what may travel to it, how a run there survives the machine, and how its results come back.

A DVC remote is the only thing that both machines know. Of it `files/` is DVC's; `warraq/` has the project as a git
bundle and, for each student, its unfinished work and the branch with its results.
"""
