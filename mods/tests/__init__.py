"""The tests: what a user does, end to end, and the laws behind it."""
