"""Implementations under test: what an adapter offers, and how one is loaded by its name."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import importlib.metadata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch

from ..block import TensorBlock
from ..catalog import ROWS, Call, Deferred, Recipe, Row, make_torch, set_parameters
from ..labels import Labels
from ..printing import meant
from ..renamed import name_now
from ..tensor_map import TensorMap

ENTRY_POINTS = "tmref.implementations"
CPU = torch.device("cpu")

#: The implementations that come with tmref: their modules, and how to install what they need.
_OWN = {
    "reference": ("tmref.implementations.reference", "tmref"),
    "batched": ("tmref.implementations.batched", "tmref"),
    "metatensor-learn": ("tmref.implementations.metatensor_learn", "tmref[metatensor]"),
    "metatensor-torch": ("tmref.implementations.metatensor_torch", "tmref[metatensor]"),
}

#: Where an implementation has what is taken by a name: its modules, its functions on maps, those of
#: files, and its datasets.
NAMESPACES = ("nn", "operations", "files", "datasets")

#: Of those that have releases: the package whose they are, and what is installed beside.
PACKAGES = {
    "metatensor-learn": ("metatensor-learn",),
    "metatensor-torch": ("metatensor-torch", "metatensor-learn", "metatensor-operations"),
}


@dataclass(frozen=True)
class Example:
    """A pinned input: a recipe, a map that it fits, and what the law draws and notes, by label."""

    recipe: Recipe | None
    x: Any
    draws: dict[str, Any]


@dataclass(frozen=True)
class Known:
    """A failure that is known: ``law`` is broken for ``rows`` on the inputs that ``when`` is true for;
    where there is ``draws``, on those where it is true for what the law drew and noted, by label.

    ``example(row)`` must still break it; the law is searched for other failures everywhere else. In a
    version that is not among ``versions``, those that it was seen in, it may be mended; where none are
    named it is in all of them. They are versions of the ``package`` that the failure is in, where that
    is another one than the implementation.
    ``reason`` says what is wrong with the implementation: what kind of failure it is, in at most 70
    characters, then after a colon the rest, and the source that says so.
    """

    law: str
    rows: Sequence[str]
    when: Callable[[Any, Any], bool]
    example: Callable[[str], Example]
    reason: str
    draws: Callable[[dict[str, Any]], bool] | None = None
    versions: Sequence[str] = ()
    package: str = ""

    def __post_init__(self) -> None:
        for name in ("rows", "versions"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise TypeError(f"{name} must be a list of {name}, got {value!r}: write ({value!r},)")
            if not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
                raise TypeError(f"{name} must be a list of {name}, as texts, got {value!r}")
        if not isinstance(self.law, str):
            raise TypeError(f"law must be the name of a law, got {self.law!r}")
        if not isinstance(self.reason, str):
            raise TypeError(f"reason must say in words what is wrong, got {self.reason!r}")
        object.__setattr__(self, "law", name_now(self.law))

    def version_of(self, implementation: Implementation) -> str:
        """The version that ``versions`` are about: of the package, or of the implementation."""
        if self.package:
            return importlib.metadata.version(self.package)
        return str(implementation.version)

    def was_seen_in(self, version: str) -> bool:
        """Whether the entry says that the failure is in this version."""
        return not self.versions or version in self.versions

    def covers(self, recipe: Recipe | None, x: Any, drawn: dict[str, Any] | None = None) -> bool:
        """Whether the failure is to be expected: of all draws where ``drawn`` is None, else of these.
        Where a law broke before it drew what ``draws`` asks for, it is another failure."""
        if self.draws is None:
            return self.when(recipe, x)
        try:
            return drawn is not None and self.when(recipe, x) and self.draws(drawn)
        except KeyError as error:
            if drawn is not None and error.args[:1] and error.args[0] not in drawn:
                return False
            raise


class Implementation:
    """Something under test: how maps get into it and out of it again, and how its modules are made.

    A subclass has a ``name``, a ``version``, the constructors ``Labels``, ``TensorBlock`` and
    ``TensorMap``, called as metatensor's are, and ``nn``, where the classes of modules are. It may
    have ``operations`` on maps, ``files``, which saves and loads them, and ``datasets``, each with what
    metatensor has under such a name, or some of it. It may have ``rows`` of its own, beside the
    catalog's or instead of them, ``inputs`` that narrow the maps of all rows, and ``known`` failures.
    ``imports`` are the lines of code that its names come from, for the scripts that show a failure.
    What deviates from metatensor's interface is overridden.

    Laws of abilities are tried where these are True: ``scripts`` (torch.jit.script takes its modules),
    ``compiles`` (torch.compile does), ``exports`` (torch.export does), ``transforms`` (torch.vmap and
    torch.func.grad go through them), ``takes_gradients`` (explicit gradients do), ``refuses_early``
    (arguments that can't work are refused where a module is made). Elsewhere they are untested: not
    offered.
    """

    name: str
    version: str
    Labels: Any
    TensorBlock: Any
    TensorMap: Any
    nn: Any
    operations: Any = None
    files: Any = None
    datasets: Any = None
    imports: Sequence[str] = ("import torch",)
    rows: Sequence[Row] = ROWS
    known: Sequence[Known] = ()
    #: The call that makes the values of labels, in the code of scripts.
    labels_array: ClassVar[str] = "torch.tensor"
    #: The code of :meth:`parameters`, of a name.
    parameters_code: str = "{}.parameters()"
    #: Whether its labels, blocks, maps and Module are judged, besides the rows.
    judges_data: bool = True
    #: Options of :func:`tmref.strategies.tensor_maps`, by which the maps of all rows are narrowed.
    inputs: Mapping[str, Any] = MappingProxyType({})
    #: Where all that :meth:`to_theirs` is given goes: modules, labels, values.
    device: torch.device = CPU

    def on(self, device: str) -> Implementation:
        """The same implementation, given everything on this device. Raises UnusableDevice."""
        found = usable_device(device)
        if found == self.device:
            return self
        moved = copy.copy(self)
        moved.device = found
        return moved

    def moved(self, value: Any) -> Any:
        """Our labels, block, map or a tensor, or a module, on the device; anything else as it is."""
        if self.device == CPU:
            return value
        if isinstance(value, (torch.Tensor, Labels, TensorBlock, TensorMap)):
            return value.to(self.device)
        if isinstance(value, torch.nn.Module):
            value.to(self.device)
        return value

    def array(self, rows: torch.Tensor) -> Any:
        """The values of labels as the constructor of their Labels takes them."""
        return rows

    def labels(self, labels: Labels) -> Any:
        """Their labels."""
        return self.Labels(labels.names, self.array(labels.values.clone()))

    def encode(self, tensor: TensorMap) -> Any:
        """Their map with the same labels and the very same values, which says the same of itself where
        their maps say anything."""
        blocks = [self.encode_block(block) for block in tensor]
        encoded = self.TensorMap(self.labels(tensor.keys), blocks)
        for key, value in tensor.info().items() if hasattr(encoded, "set_info") else ():
            encoded.set_info(key, value)
        return encoded

    def encode_block(self, block: TensorBlock) -> Any:
        """Their block with the same labels, gradients and the very same values."""
        components = [self.labels(component) for component in block.components]
        labels = self.labels(block.samples), components, self.labels(block.properties)
        encoded = self.TensorBlock(block.values, *labels)
        for parameter, gradient in block.gradients():
            encoded.add_gradient(parameter, self.encode_block(gradient))
        return encoded

    def decode(self, tensor: Any) -> TensorMap:
        """The map with the labels of theirs and the very same values, which says the same of itself."""
        blocks = [self.decode_block(tensor.block_by_id(i)) for i in range(len(tensor.keys))]
        decoded = TensorMap(self.decode_labels(tensor.keys), blocks)
        for key, value in tensor.info().items() if hasattr(tensor, "info") else ():
            decoded.set_info(key, value or "")  # metatensor's core has None for what is ""
        return decoded

    def decode_block(self, block: Any) -> TensorBlock:
        """The block with the labels and gradients of theirs and the very same values."""
        decoded = TensorBlock(
            block.values,
            self.decode_labels(block.samples),
            [self.decode_labels(component) for component in block.components],
            self.decode_labels(block.properties),
        )
        for parameter, gradient in block.gradients():
            decoded.add_gradient(parameter, self.decode_block(gradient))
        return decoded

    def decode_labels(self, labels: Any) -> Labels:
        """The labels of theirs."""
        return Labels(list(labels.names), torch.as_tensor(labels.values))

    def build(self, recipe: Recipe) -> torch.nn.Module:
        """Their module with the parameters of the recipe, or their error."""
        module: torch.nn.Module = self.make(recipe.call)
        return module

    def make(self, call: Call) -> Any:
        """What a call makes, with their labels, blocks and maps for its arguments."""
        if call.is_torch:
            return make_torch(call)
        args = [self.to_theirs(value) for value in call.args]
        kwargs = {name: self.to_theirs(value) for name, value in call.kwargs.items()}
        if call.name == "add_gradient":
            block, *rest = args
            block.add_gradient(*rest, **kwargs)
            return block
        if call.name == "Labels":
            args = [self.array(arg.clone()) if isinstance(arg, torch.Tensor) else arg for arg in args]
        home = self if call.name in ("Labels", "TensorBlock", "TensorMap") else self.nn
        made = getattr(home, call.name)(*args, **kwargs)
        if call.parameters is not None:
            set_parameters(self.parameters(made), call.parameters)
        return made

    def to_theirs(self, value: Any) -> Any:
        """Their labels, block or map for ours, what a call makes, lists and dictionaries of them; or the
        value itself. All of it is on the device, but modules that are told where to be."""
        if isinstance(value, list) or type(value) is tuple:
            return type(value)(self.to_theirs(item) for item in value)
        if isinstance(value, dict):
            return {name: self.to_theirs(item) for name, item in value.items()}
        if isinstance(value, Call):
            made = self.make(value)
            return made if "device" in value.kwargs else self.moved(made)
        if isinstance(value, Deferred):
            return functools.partial(self.to_theirs, value.call)
        value = self.moved(value)
        if isinstance(value, Labels):
            return self.labels(value)
        if isinstance(value, TensorBlock):
            return self.encode_block(value)
        return self.encode(value) if isinstance(value, TensorMap) else value

    def to_ours(self, value: Any) -> Any:
        """Our labels, block or map for theirs, tensors for arrays, lists and dictionaries of them; or
        the value itself."""
        if isinstance(value, (list, tuple)):
            return with_items(value, map(self.to_ours, value))
        if isinstance(value, dict):
            return {name: self.to_ours(item) for name, item in value.items()}
        for kind, decode in (
            ("Labels", self.decode_labels),
            ("TensorBlock", self.decode_block),
            ("TensorMap", self.decode),
        ):
            if self.is_a(value, kind):
                return decode(value)
        return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value

    def is_a(self, value: Any, kind: str) -> bool:
        """Whether a value is their Labels, TensorBlock or TensorMap."""
        cls = getattr(self, kind)
        if isinstance(cls, type):
            return isinstance(value, cls)
        # a class of TorchScript, which has no isinstance
        return isinstance(value, torch.ScriptObject) and str(value._type()).rpartition(".")[2] == kind

    def names_in_code(self) -> dict[str, Any]:
        """What their users' code calls by a name, once it has run the ``imports``."""
        own = {name: getattr(self, name) for name in ("Labels", "TensorBlock", "TensorMap")}
        homes = {name: getattr(self, name, None) for name in NAMESPACES}
        there = {name: home for name, home in homes.items() if home is not None}
        return {"torch": torch, "np": np, **own, **there}

    def parameters(self, module: torch.nn.Module) -> list[torch.nn.Parameter]:
        """The module's parameters, key by key in the order of the keys that it was made with."""
        return list(module.parameters())

    def known_of_part(
        self, entries: Sequence[Known], part: torch.nn.Module, example: Example
    ) -> str | None:
        """The reason of the first entry that covers the example, and is about the class of the part,
        whatever its options; None where there is none."""
        rows_of: dict[str, set[str]] = {}
        for row in (*ROWS, *self.rows):  # its own may be others
            rows_of.setdefault(row.module, set()).add(row.name)
        for name, rows in rows_of.items():
            cls = getattr(self.nn, name, None)
            if not isinstance(cls, type) or not any(_is_copy(cls, of) for of in type(part).__mro__):
                continue
            for entry in entries:
                if not rows <= set(entry.rows):
                    continue
                try:
                    if entry.covers(example.recipe, example.x, example.draws):
                        return entry.reason
                except Exception:  # it asks for arguments, which nobody knows of a module of one's own
                    continue
        return None


def _is_copy(one: type, other: type) -> bool:
    """Whether two classes are one, perhaps imported twice: metatensor's parts are there under two names,
    ``metatensor.torch.learn`` and ``metatensor_torch.learn``."""
    names = [(cls.__module__.replace("_", "."), cls.__qualname__) for cls in (one, other)]
    return one is other or names[0] == names[1]


def with_items(value: Any, items: Iterable[Any]) -> Any:
    """A list or tuple as ``value``, which may be a named one, with other items."""
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


class UnknownImplementation(LookupError):
    """There is no implementation of this name, or it can't be imported; the message has the remedy."""


class UnusableDevice(ValueError):
    """There is no such device, or nothing can be computed on it; the message has the remedy."""


def usable_device(name: str) -> torch.device:
    """The device of this name, with its index. Raises UnusableDevice where nothing can be computed on
    it."""
    try:
        values = torch.ones(1, device=name)
        (values + values).cpu()  # on meta there are no numbers that could come back
    except Exception as error:
        # the first sentence: torch may go on and list all of its backends
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        usable = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise UnusableDevice(
            f"the device {name!r} can't be used ({reason}); give one that can, here "
            f"{' or '.join(usable)}, or install a torch that has it"
        ) from error
    return values.device


def names() -> list[str]:
    """The names of all implementations: tmref's own, and those of entry points."""
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return [*_OWN, *sorted({point.name for point in found} - set(_OWN))]


def installed() -> list[Implementation]:
    """Of tmref's own implementations those whose libraries are installed."""
    found = []
    for name in _OWN:
        with contextlib.suppress(UnknownImplementation):
            found.append(load(name))
    return found


def is_own(name: str) -> bool:
    """Whether it is one of tmref's own, which nothing ends that is imported."""
    return name in _OWN


def load(name: str) -> Implementation:
    """The implementation of this name, or at this path: ``package.module:attribute``.

    Raises UnknownImplementation where there is none, or what it needs is not installed.
    """
    if name in _OWN:
        module, package = _OWN[name]
        remedy = f"install it with: pip install '{package}'"
        try:
            return importlib.import_module(module).implementation
        except ImportError as error:
            raise UnknownImplementation(f"{name} is not installed ({error}); {remedy}") from error
        except Exception as error:  # another version lacks what the adapter needs
            raise UnknownImplementation(
                f"{name} can't be used as it is installed ({type(error).__name__}: {error}); {remedy}"
            ) from error
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.name == name:
            with _of_others(name, f"the module {point.value} can't be imported"):
                found = point.load()
            return _checked(name, found)
    module, _, attribute = name.partition(":")
    is_path = all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))
    if not is_path:
        raise UnknownImplementation(
            f"there is no implementation {name!r}; {meant(name, names(), 'is it a path?')} There are "
            f"{', '.join(names())}, and those of your own by their path: package.module:attribute"
        )
    with _of_others(name, f"the module {module} can't be imported"):
        found = importlib.import_module(module)
    for part in attribute.split("."):
        with _of_others(name, f"the module {module} doesn't give {attribute!r}"):
            if not hasattr(found, part):
                raise UnknownImplementation(f"{name!r}: the module {module} has no {attribute!r}")
            found = getattr(found, part)
    return _checked(name, found)


@contextlib.contextmanager
def _of_others(name: str, trouble: str) -> Iterator[None]:
    """Code of others runs: whatever it raises, and that it exits, is an UnknownImplementation."""
    try:
        yield
    except (KeyboardInterrupt, UnknownImplementation):
        raise
    except BaseException as error:
        said = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
        raise UnknownImplementation(f"{name!r}: {trouble} ({said})") from error


def _checked(name: str, found: Any) -> Implementation:
    if isinstance(found, type) and issubclass(found, Implementation):
        raise UnknownImplementation(
            f"{name!r} is the class {found.__name__}, where an instance is needed: {found.__name__}()"
        )
    missing = []
    for attribute in ("name", "version", "encode", "decode", "build"):
        with _of_others(name, f"its {attribute} can't be had"):
            if not hasattr(found, attribute):
                missing.append(attribute)
    if missing:
        raise UnknownImplementation(
            f"{name!r} is no implementation: it has no {', '.join(missing)}; "
            "make it an instance of a subclass of tmref.implementations.Implementation"
        )
    for attribute in ("name", "version"):
        said = getattr(found, attribute)
        if not isinstance(said, str) or not said.isprintable() or not said:
            raise UnknownImplementation(
                f"{name!r}: its {attribute} is {said!r}, which must be a text of one line"
            )
    return found
