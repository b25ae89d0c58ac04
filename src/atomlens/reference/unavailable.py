"""The one exception that means "there is no reference for this structure"."""

from atomlens.structures import InputError


class ReferenceUnavailable(InputError):
    """A reference cannot be had for a structure; analyses answer "cannot tell" with its reason.

    The command line prints the reason and exits with code 2, as for all bad input.
    """

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return str(self)
