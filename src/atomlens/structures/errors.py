"""The one exception that means "your input is not usable"."""


class InputError(ValueError):
    """Bad input, told in one line: what was received and what to do about it.

    The command line prints the message alone and exits with code 2.
    """
