"""Looks at everything the service depends on, from where it runs, and says what is well, what is not, and the cure.

Changes nothing. What it could not look at, it says so: that is no pass.
"""
