"""What a row is: one line of the catalog, or of an implementation that brings its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..printing import PrintedAsSource
from ..rotations import O3_NAMES
from .kind import Kind, Layer

if TYPE_CHECKING:
    from ..tensor_map import TensorMap
    from .recipes import Recipe

#: The rows of the catalog, which print by their names: :mod:`rows` lists them.
NAMED: dict[str, Row] = {}


@dataclass(frozen=True, repr=False)
class Row(PrintedAsSource):
    """What is judged: a module of the kind ``kind``.

    ``traits`` are names out of :data:`TRAITS`; ``maps`` are options of
    :func:`tmref.strategies.tensor_maps` for the maps that the module takes, or ``inputs`` is a strategy
    of them.
    """

    name: str
    kind: Kind
    traits: frozenset[str]
    maps: Mapping[str, Any] = field(default_factory=dict)
    inputs: Any = None

    def __repr__(self) -> str:
        return f"row({self.name!r})" if NAMED.get(self.name) == self else super().__repr__()

    def subject(self, implementation: Any) -> Any:
        """The implementation that makes its modules."""
        return implementation

    def initial_recipe(self, x: TensorMap) -> Recipe:
        """How it is made for a map, with the initial parameters of its twin. Raises ValueError where it
        has none."""
        raise ValueError(f"nobody says how {self.name} is made")

    @property
    def module(self) -> str:
        """The class of an implementation's nn that it is about."""
        return self.kind.name

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that its modules are made of; none where nobody says which arguments they have."""
        return self.kind.layers

    @property
    def is_data(self) -> bool:
        """Whether it is about a type of data, or about modules in general, and none of the catalog."""
        return self.kind.is_data

    @property
    def exact(self) -> bool:
        """Whether its arithmetic is exact where the sums fit in the mantissa: sums and products only."""
        return self.kind.exact

    @property
    def by_invariance(self) -> bool:
        """Whether it treats invariant and covariant keys differently."""
        return any(module.by_invariance for module in self.kind.modules)

    @property
    def o3_names(self) -> tuple[str, str, str]:
        """How the dimensions of spherical tensors are called in its maps."""
        of_lambda, of_sigma, of_mu = self.maps.get("o3_names", O3_NAMES)
        return of_lambda, of_sigma, of_mu

    @property
    def is_function(self) -> bool:
        """Whether it is a function, which has no state, rather than a module."""
        return False

    @property
    def has_further_inputs(self) -> bool:
        """Whether it is given something besides a map."""
        return False

    @property
    def follows_labels(self) -> bool:
        """Whether it has further inputs that are made for the labels of the map."""
        return False

    @property
    def keeps_sizes(self) -> bool:
        """Whether its layers can't change the number of features: a factor for the values can't."""
        return self.kind.keeps_sizes


#: Maps of spherical tensors, and those where all blocks have as many properties.
SPHERICAL: Mapping[str, Any] = {"spherical": True}
OF_ONE_WIDTH: Mapping[str, Any] = {"spherical": True, "one_width": True}

_ANY_MODULE_MAP = {
    "keeps_keys",
    "keeps_samples",
    "keeps_components",
    "label_free",
    "pure",
    "per_block",
    "per_sample",
    "keyed",
    "deterministic",
}


def module_row(
    name: str, kind: Kind, *traits: str, but: str = "", maps: Mapping[str, Any] | None = None
) -> Row:
    """A row with the traits of any ModuleMap, ``but`` one, and equivariant where all of it goes by
    invariance."""
    of_all = {*_ANY_MODULE_MAP, *traits} - {but}
    if all(module.by_invariance for module in kind.modules):
        of_all.add("equivariant")
    return Row(name, kind, frozenset(of_all), maps or {})
