"""Reading a pickle as data: nothing it names is imported, nothing it calls is run.

Python's own unpickler, even with a closed `find_class`, calls what is on its stack, sets attributes on it, hashes
it, and trusts memo indices that can ask for gigabytes. A model's pickle needs a few dozen opcodes of it, so these
are carried out here, on the inert records of `shells`; every other opcode is refused. Their arguments are read by
`pickletools`, which executes nothing.

``torch.load(weights_only=True)`` with stand-ins named by ``add_safe_globals`` would be shorter. It is not used because
it has no budget: a list in the memo that each of 1,500 calls copies (``OrderedDict(list)``) takes 2.2 GB from a file of
0.2 MB (torch 2.13), and more calls take more. Here, all that a pickle builds may be a small multiple of its length.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atomlens.potentials.schnetpack.shells import CALLS, CLASSES, STORAGES, Name, Shell, StorageRef, look_up
from atomlens.structures import InputError

# A model of a hundred layers has a pickle of half a megabyte; the weights are not in it.
MAX_PICKLE = 2**22
# Opcodes, each of which makes one object at most; that model has two hundred thousand.
_MAX_OPCODES = 2**20

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"}) | frozenset(
    {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"}
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEYS = (str, int, float, bytes, type(None), Name)  # names are keys where types are cast to others


@dataclass(frozen=True)
class Pickle:
    """What a pickle says.

    Attributes
    ----------
    root
        The pickled object: plain values, and the records of `shells` for everything else.
    storages
        Every storage that it refers to, by key.
    end
        Position of the first byte after the pickle.
    """

    root: Any
    storages: dict[str, StorageRef]
    end: int


def read_pickle(data: bytes, start: int = 0) -> Pickle:
    """Read the pickle at `start`.

    Raises
    ------
    InputError
        If it names or calls anything outside the closed tables, or is damaged.
    """
    file = io.BytesIO(data[start : start + MAX_PICKLE])
    machine = _Machine(budget=2 * len(file.getbuffer()) + 1000)
    opcodes = 0
    try:
        while code := file.read(1):
            opcodes += 1
            if opcodes > _MAX_OPCODES:
                raise InputError(f"its pickle has more than {_MAX_OPCODES} steps, far more than a model needs; refused")
            opcode = _OPCODES.get(code.decode("latin-1"))
            name = opcode.name if opcode else f"0x{code.hex()}"
            if name == "STOP":
                return Pickle(machine.pop(), machine.storages, start + file.tell())
            if opcode is None or name not in _KNOWN:
                raise InputError(f"the pickle uses the opcode {name}, which no model needs; refused")
            if name in ("GLOBAL", "INST"):  # two lines; pickletools would also resolve escapes in them
                machine.run(name, (_line(file), _line(file)))
            else:
                machine.run(name, opcode.arg.reader(file) if opcode.arg else None)
    except InputError:
        raise
    # Whatever a damaged byte makes of an opcode's argument or of the stack.
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"its pickle is damaged ({_first_line(error)}); fetch or write the file again") from error
    raise InputError("its pickle ends before it is complete; fetch or write the file again")


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageRef] = {}

    def pop(self) -> Any:
        return self.stack.pop()

    def spend(self, *values: Any) -> None:
        """Pay for walking through, or copying, what the file may name again and again.

        Raises
        ------
        InputError
            If that comes to more than the pickle is long.
        """
        self._budget -= sum(len(value) for value in values if isinstance(value, list | tuple | dict))
        if self._budget < 0:
            raise InputError("its pickle copies its own parts over and over, which no model does; refused")

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def run(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise ValueError(f"it refers to object {argument}, which it does not hold")
            self.stack.append(self.memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(self.stack) < count:
                raise IndexError("the stack is empty")
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in ("GLOBAL", "INST"):
            module, attribute = argument
            self.stack.append(look_up(module, attribute))
            if name == "INST":
                raise InputError(f"the pickle calls {module}.{attribute} by INST, which no model does; refused")
        elif name in _ACTIONS:
            _ACTIONS[name](self)


def _line(file: io.BytesIO) -> str:
    line = file.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a name without an end")
    return line[:-1].decode("utf-8")


def _mark(machine: _Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _tuple(machine: _Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(tuple(items))


def _append(machine: _Machine) -> None:
    item = machine.pop()
    _of_type(machine.stack[-1], list).append(item)


def _append_all(machine: _Machine) -> None:
    items = machine.pop_mark()
    _of_type(machine.stack[-1], list).extend(items)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _of_type(machine.stack[-1], dict)[_of_type(key, _KEYS)] = value


def _set_items(machine: _Machine) -> None:
    items = machine.pop_mark()
    target = _of_type(machine.stack[-1], dict)
    if len(items) % 2:
        raise ValueError("a key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[_of_type(key, _KEYS)] = value


def _memoize(machine: _Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.stack.append(look_up(_of_type(module, str), _of_type(name, str)))


def _reduce(machine: _Machine) -> None:
    arguments, function = _of_type(machine.pop(), tuple), machine.pop()
    if not isinstance(function, Name) or function.path not in CALLS:
        named = function.path if isinstance(function, Name) else f"a {type(function).__name__}"
        raise InputError(f"the pickle calls {named}, which loading a model does not need; refused")
    machine.spend(arguments, *arguments)
    machine.stack.append(CALLS[function.path](*arguments))


def _new_object(machine: _Machine) -> None:
    arguments, cls = _of_type(machine.pop(), tuple), machine.pop()
    if not isinstance(cls, Name) or cls.path not in CLASSES or arguments:
        named = cls.path if isinstance(cls, Name) else f"a {type(cls).__name__}"
        raise InputError(f"the pickle makes an object of {named}, which loading a model does not need; refused")
    machine.stack.append(Shell(cls.path))


def _build(machine: _Machine) -> None:
    state = machine.pop()
    target = machine.stack[-1]
    if isinstance(target, Shell):
        machine.spend(state)
        target.state.update(_of_type(state, dict))
    elif not isinstance(target, dict):  # an OrderedDict's attributes (a state dict's metadata) tell nothing
        raise InputError(f"the pickle sets the state of a {type(target).__name__}, which no model does; refused")


def _persistent(machine: _Machine) -> None:
    match machine.pop():
        case ("storage", Name(path=path), str(key), str(), int(numel), *_) if path in STORAGES and numel >= 0:
            ref = machine.storages.setdefault(key, StorageRef(STORAGES[path], key, numel))
            if (ref.dtype, ref.numel) != (STORAGES[path], numel):
                raise InputError(f"the pickle describes its storage {key[:50]!r} in two ways; the file is damaged")
            machine.stack.append(ref)
        case ("module", Name() as cls, *_):  # the older file format keeps a class's source beside its name
            machine.stack.append(cls)
        case _:
            raise InputError("the pickle refers to something outside it that is no tensor's storage; refused")


_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": _mark,
    "EMPTY_TUPLE": lambda machine: machine.stack.append(()),
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "EMPTY_SET": lambda machine: machine.stack.append([]),  # sets are kept as lists, see `shells`
    "TUPLE": _tuple,
    "APPEND": _append,
    "APPENDS": _append_all,
    "ADDITEMS": _append_all,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "MEMOIZE": _memoize,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _new_object,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
_KNOWN = frozenset(
    {*_LITERALS, *_CONSTANTS, *_TUPLES, *_ACTIONS, "PROTO", "FRAME", "GLOBAL", "INST"}
    | {"BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"}
)


def _of_type(value: Any, types: Any) -> Any:
    if not isinstance(value, types):
        raise TypeError(f"a {type(value).__name__} where another type belongs")
    return value


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
