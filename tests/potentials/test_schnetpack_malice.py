"""Files made to run code: what they name is refused by name, and nothing of it happens."""

import io
import os
import pickle
import re
import sys
import zipfile

import pytest
import torch

from atomlens.potentials import load_model
from atomlens.potentials.schnetpack.archive import Archive
from atomlens.potentials.schnetpack.shells import StorageRef, TensorRef
from atomlens.structures import InputError

NAME = "energy_schnet"
RUN = b"X\x0c\x00\x00\x00touch marker\x85"  # the argument of a call
WATCHED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class")
events: list[str] = []
watching = [False]
sys.addaudithook(lambda event, _: events.append(event) if watching[0] and event.startswith(WATCHED) else None)


@pytest.fixture
def load_bytes(tmp_path, monkeypatch):
    """Load a file of the given bytes, and make sure that nothing was run."""
    monkeypatch.chdir(tmp_path)

    def load(data):
        (tmp_path / "best_model").write_bytes(data)
        events.clear()
        watching[0] = True
        try:
            return load_model("best_model", energy_unit="eV")
        finally:
            watching[0] = False
            assert events == []
            assert [file.name for file in tmp_path.iterdir()] == ["best_model"]

    return load


class Runs:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (Runs(os.system, "touch marker"), "posix.system"),
        (Runs(eval, "open('marker', 'w')"), "builtins.eval"),
        (Runs(exec, "open('marker', 'w')"), "builtins.exec"),
        (Runs(__import__, "os"), "builtins.__import__"),
        (Runs(print, "marker"), "builtins.print"),
        ({"state": [(Runs(os.system, "touch marker"),)]}, "posix.system"),
    ],
)
def test_calls_are_refused_by_name(payload, named, protocol, load_bytes, repack):
    with pytest.raises(
        InputError, match=f"^best_model: the pickle names {named}, which is not part of a model; refused"
    ):
        load_bytes(repack(NAME, pickle.dumps(payload, protocol)))


HANDMADE = {
    "GLOBAL": (b"\x80\x02cos\nsystem\n" + RUN + b"R.", "os.system"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x02os\x8c\x06system\x93" + RUN + b"R.", "os.system"),
    "STACK_GLOBAL of a path": (b"\x80\x04\x8c\x05torch\x8c\x0cos.path.join\x93" + RUN + b"R.", "torch.os.path.join"),
    "INST": (b"(X\x0c\x00\x00\x00touch markerios\nsystem\n.", "os.system"),
    "INST of a known class": (b"(itorch.nn.modules.linear\nIdentity\n.", "torch.nn.modules.linear.Identity by INST"),
    "OBJ": (b"(cos\nsystem\nX\x0c\x00\x00\x00touch markero.", "os.system"),
    "OBJ of a known class": (b"(ctorch.nn.modules.linear\nIdentity\no.", "OBJ"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "text persistent id": (b"Pos.system\n.", "PERSID"),
    "persistent id": (b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x000tQ.", "os.system"),
    "module source": (
        b"\x80\x02(X\x06\x00\x00\x00modulecos\nsystem\nX\x00\x00\x00\x00X\x00\x00\x00\x00tQ.",
        "os.system",
    ),
    "unknown persistent id": (b"\x80\x02X\x05\x00\x00\x00thingQ.", "outside it"),
    "call of a class": (b"\x80\x02ctorch.nn.modules.linear\nIdentity\n)R.", "calls torch.nn.modules.linear.Identity"),
    "call of an activation": (b"\x80\x02ctorch.nn.functional\nsilu\n" + RUN + b"R.", "calls torch.nn.functional.silu"),
    "call of a text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "calls a str"),
    "call of an object": (
        b"\x80\x02ctorch.nn.modules.linear\nIdentity\n)\x81)R.",
        "calls a Shell",
    ),
    "object of a function": (b"\x80\x02c__builtin__\ngetattr\n)\x81.", "object of builtins.getattr"),
    "object with arguments": (b"\x80\x02ctorch.nn.modules.linear\nIdentity\n" + RUN + b"\x81.", "makes an object"),
    "object with keywords": (b"\x80\x04ctorch.nn.modules.linear\nIdentity\n)}\x92.", "NEWOBJ_EX"),
    "getattr": (
        b"\x80\x02c__builtin__\ngetattr\nctorch._C\n_VariableFunctionsClass\nX\x09\x00\x00\x00__class__\x86R.",
        "torch._C._VariableFunctionsClass.__class__",
    ),
    "getattr of an object": (
        b"\x80\x02c__builtin__\ngetattr\n}X\x03\x00\x00\x00pop\x86R.",
        "getattr, which is not part of a model",
    ),
    "getattr chain": (
        b"\x80\x02c__builtin__\ngetattr\nc__builtin__\ngetattr\nctorch._C\n_VariableFunctionsClass\n"
        b"X\x04\x00\x00\x00tanh\x86RX\x08\x00\x00\x00__self__\x86R.",
        "torch._C._VariableFunctionsClass.tanh.__self__",
    ),
    "state of a class": (
        b"\x80\x02ctorch.nn.modules.linear\nIdentity\nN}X\x0c\x00\x00\x00__setstate__Ns\x86b.",
        "sets the state of a Name",
    ),
    "state of a list": (b"\x80\x02]}X\x06\x00\x00\x00appendNsb.", "sets the state of a list"),
    "tensor of nothing": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N" + b"N" * 5 + b"tR.",
        "tensor without numbers",
    ),
    "huge memo index": (b"\x80\x02Nr\xff\xff\xff\x7f.", "NoneType, not a model"),
    "key that is hashed": (b"\x80\x02}" + b")\x85" * 50_000 + b"Ns.", "a tuple where another type belongs"),
    "deep nesting": (b"\x80\x02N" + b"\x85" * 50_000 + b".", "holds a tuple"),
    "too large": (b"\x80\x02" + b"N" * (2**22 + 10) + b".", "at most 4194304 belong there"),
    "newlines in a name": (b"\x80\x04\x8c\x04os\n\n\x8c\x06system\x93.", r"os\n\n.system"),
    "no pickle": (b"hello", "damaged"),
    "nothing": (b"", "ends before it is complete"),
    "no STOP": (b"\x80\x02N", "ends before it is complete"),
    "empty stack": (b"\x80\x02.", "damaged"),
}


def text(word: str) -> bytes:
    return b"X" + len(word).to_bytes(4, "little") + word.encode()


ITEMS, COPIES = 20_000, 5_000  # 100 million entries, if every copy were made
LIST = b"]q\x00(" + b"N" * ITEMS + b"e"
STATE = b"}q\x00(" + b"".join(text(f"{k:05d}") + b"N" for k in range(ITEMS)) + b"u"
SHELL = b"ctorch.nn.modules.linear\nIdentity\n)\x81"
COPY = b"h\x00\x85R"
BOMBS = {
    "lists made of a list": b"(" + LIST + (b"c__builtin__\nlist\n" + COPY) * COPIES + b"t.",
    "sets made of a list": b"(" + LIST + (b"c__builtin__\nset\n" + COPY) * COPIES + b"t.",
    "tables made of a list": b"(" + LIST + (b"ccollections\nOrderedDict\n" + COPY) * COPIES + b"t.",
    "one state for many objects": b"(" + STATE + (SHELL + b"h\x00b") * COPIES + b"t.",
    "calls with a long tuple": b"((" + b"N" * ITEMS + b"tq\x00" + b"c__builtin__\ndict\nh\x00R" * COPIES + b"t.",
    "a list that holds its copies": LIST + (b"c__builtin__\nlist\n" + COPY + b"a") * COPIES + b".",
    "a million lists": b"(" + b"]" * 1_100_000 + b"t.",
    "a million empty tables": b"(" + b"}" * 1_100_000 + b"t.",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_cannot_become_much_larger_than_it_is(name, load_bytes, repack):
    data = b"\x80\x02" + BOMBS[name]
    with pytest.raises(InputError, match=r"over and over|far more than a model needs"):
        load_bytes(repack(NAME, data))


@pytest.mark.parametrize("name", HANDMADE)
def test_handmade_pickles_are_refused_by_name(name, load_bytes, repack):
    data, named = HANDMADE[name]
    with pytest.raises(InputError, match=f"^best_model: .*{re.escape(named)}") as caught:
        load_bytes(repack(NAME, data))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["__class__", "__setstate__", "__reduce__", "__dict__", "__call__"])
def test_attributes_of_that_name_do_nothing(name, load_bytes, repack, pickle_of, references, reference_graph):
    key = f"X{chr(len(name))}\0\0\0{name}".encode()
    pickle = pickle_of(NAME).replace(b"X\x08\x00\x00\x00training", key)
    model = load_bytes(repack(NAME, pickle))
    value = model(reference_graph(model)).detach()
    assert value.tolist() == pytest.approx(references[NAME]["value"], rel=1e-12)


def test_a_name_in_place_of_a_weight_is_refused(load_bytes, repack, pickle_of):
    pickle = pickle_of(NAME).replace(b"ctorch._utils\n_rebuild_parameter\n", b"cos\nsystem\n", 1)
    with pytest.raises(InputError, match=r"the pickle names os\.system"):
        load_bytes(repack(NAME, pickle))


def test_a_bare_pickle_is_refused_by_name(load_bytes):
    with pytest.raises(InputError, match=r"the pickle names posix\.system"):
        load_bytes(pickle.dumps(Runs(os.system, "touch marker")))
    with pytest.raises(InputError, match="a bare pickle"):
        load_bytes(pickle.dumps({"a": 1}))


def test_the_older_container_is_as_strict(load_bytes, schnetpack_folder):
    data = (schnetpack_folder / "energy_schnet_filters.model").read_bytes()
    with pytest.raises(InputError, match=r"the pickle names os\.system"):
        load_bytes(data.replace(b"ctorch.nn.modules.linear\nIdentity\n", b"cos\nsystem\n"))


@pytest.mark.parametrize("change", ["compressed", "larger storage", "missing storage", "big endian"])
def test_sizes_are_checked_against_the_file(change, load_bytes, schnetpack_folder):
    source, out = schnetpack_folder / f"{NAME}.model", io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = old.read(name)
            kind = zipfile.ZIP_STORED
            if name.endswith("/data/5"):
                if change == "missing storage":
                    continue
                data += b"\0" * (10_000 if change == "larger storage" else 0)
                kind = zipfile.ZIP_DEFLATED if change == "compressed" else kind
            if name.endswith("/byteorder") and change == "big endian":
                data = b"big"
            new.writestr(name, data, compress_type=kind)
    with pytest.raises(InputError, match={"larger storage": "at most 320 belong"}.get(change, change.split()[0])):
        load_bytes(out.getvalue())


WINDOWS = {
    "without numbers": (0, (0,), (1,)),
    "beyond the end": (1, (6,), (1,)),
    "far beyond the end": (2**39, (1,), (1,)),
    "repeated without end": (0, (2**39, 2**39), (0, 0)),
    "wide steps": (0, (2, 3), (4, 1)),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_tensor_stays_within_its_storage(window):
    storage = StorageRef(torch.float32, "0", 6)
    archive = Archive(None, 24, lambda _: bytes(24))
    assert archive.tensor(TensorRef(storage, 0, (2, 3), (3, 1))).shape == (2, 3)
    with pytest.raises(InputError, match="does not fit"):
        archive.tensor(TensorRef(storage, *WINDOWS[window]))


def test_many_views_of_few_numbers_are_refused():
    storage = StorageRef(torch.float64, "0", 2**17)
    archive = Archive(None, 2**20, lambda _: bytes(2**20))
    view = TensorRef(storage, 0, (2**17,), (1,))
    for _ in range(5):
        archive.tensor(view)
    with pytest.raises(InputError, match="far larger than the file"):
        archive.tensor(view)
