"""The one exception that means "your input is not usable"."""


class InputError(ValueError):
    """Bad input, told in one line: what was received and what to do about it.

    The command line prints the message alone and exits with code 2.
    """


class NothingDone(InputError):
    """Bad input that showed only after a run had begun its folder, but before there was anything in it to keep."""
