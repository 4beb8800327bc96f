"""The exit statuses of commands: what is expected, what is not, what can't be used, and Ctrl-C."""

GOOD, BAD, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
