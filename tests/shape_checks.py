"""How annotations are checked while tests run: see the import hook in ``conftest.py``."""

from typing import Any, Self

from beartype import BeartypeConf, FrozenDict, beartype

# beartype sees one method at a time here, and cannot know which class `Self` means.
# An int is a float to every type checker (PEP 484), so it is one here too.
check = beartype(conf=BeartypeConf(hint_overrides=FrozenDict({Self: Any}), is_pep484_tower=True))
