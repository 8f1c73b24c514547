"""The one exception that means: the user can fix this."""


class UserError(Exception):
    """A mistake or a condition that the user can fix.

    The message says what is wrong, where, and what to do next. The command line prints it as it is, without a
    traceback, and exits with code 2.
    """
