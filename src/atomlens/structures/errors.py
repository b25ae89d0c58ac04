"""The exception that means "your input is not usable", and the warning that means "it is not what it seems"."""


class InputError(ValueError):
    """Bad input, described in one line: what was received and what to do about it.

    The command line prints the message alone and exits with code 2.
    """


class NothingDone(InputError):
    """Bad input that showed only after a run had begun its folder, but before there was anything in it to keep."""


class StructureWarning(UserWarning):
    """A file holds less, or something else, than its numbers seem to say, and was read all the same.

    The command line prints it as one line; pages and summaries repeat it (`reading_notes`).
    """
