"""Strategies for values: their dtypes, their numbers, and how they lie in memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import frexp, inf, log2, nan, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from ._bytes import Bytes
from ._options import ValueOptions as ValueOptions
from ._options import check_flags
from ._strategy import Draw, strategy
from .numbers import MAX_FEATURES, UNITS, check_size, check_strategies, checked_bound, units
from .printing import printed_as_source

if TYPE_CHECKING:
    from typing_extensions import Unpack

_FLOATING = (torch.float32, torch.float64)
_HALF = (torch.float16, torch.bfloat16)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_COMPLEX = (torch.complex64, torch.complex128)
_UNSIGNED = (torch.bool, torch.uint8)
_CPU = torch.device("cpu")

LAYOUTS = ("contiguous", "transposed", "strided", "expanded", "offset", "conjugate", "negative")


@strategy
def dtypes(
    *, allow_half: bool = False, allow_integers: bool = False, allow_complex: bool = False
) -> Callable[[Draw], torch.dtype]:
    """Dtypes of values: float32 and float64, and where they are allowed float16 and bfloat16, integers
    of 8 to 64 bits, complex64 and complex128.

    Shrinks towards float32. Raises InvalidArgument for an option that is no bool.

    >>> find(dtypes(allow_complex=True), lambda dtype: dtype.is_complex)
    torch.complex64
    """
    check_flags(allow_half=allow_half, allow_integers=allow_integers, allow_complex=allow_complex)
    more = _HALF * allow_half + _INTEGERS * allow_integers + _COMPLEX * allow_complex
    table = st.sampled_from(_FLOATING + more)
    return lambda draw: draw(table)


@strategy
def layouts() -> Callable[[Draw], str]:
    """Names of the ways in which a tensor can lie in memory: ``contiguous``; ``transposed``, its axes
    stored in the opposite order; ``strided``, with NaN (or ones) between its numbers; ``expanded``, all
    of its first axis one and the same row; ``offset``, behind other numbers; ``conjugate`` and
    ``negative``, with the bit that says so set.

    A layout that a tensor can't have, as the conjugate one of real numbers, leaves it contiguous.
    Shrinks towards ``contiguous``.

    >>> find(layouts(), lambda layout: "ed" in layout)
    'transposed'
    """
    table = st.sampled_from(LAYOUTS)
    return lambda draw: draw(table)


@strategy
def array_values(
    *,
    shapes: st.SearchStrategy[tuple[int, ...]] | None = None,
    **values: Unpack[ValueOptions],
) -> Callable[[Draw], torch.Tensor]:
    """Tensors of the drawn ``shapes`` (without them, of two axes of up to four entries), each of their
    numbers drawn, and shrinking, by itself.

    Their numbers are multiples of 1/8 as :func:`dyadic_numbers` gives; those of integer dtypes are
    whole, those of complex ones have two. ``bound`` is the largest in units of 1/8, by default
    :func:`unit_bound`. Other options:

    - ``dtypes``: a strategy of dtypes, by default :func:`dtypes`
    - ``wide``: numbers of all magnitudes that the dtype has, the largest and smallest among them, or of
      0 and those between two, as in ``wide=(1e-3, 1e6)``
    - ``allow_nan``, ``allow_infinity``, ``allow_subnormal``: some of the numbers are that
    - ``layouts``: a strategy of names as :func:`layouts` gives, by default all are contiguous
    - ``requires_grad``: a strategy of bools, by default False; integers never do
    - ``devices``: a strategy of devices, by default the CPU

    Shrinks towards zeros, then ones. Raises InvalidArgument for a bound that is no int from 1 to 127,
    for one beside ``wide``, for a flag that is no bool, magnitudes that are no two positive numbers, the
    smaller one first, and anything else that is no strategy;
    TypeError for an option that doesn't exist.

    >>> find(array_values(bound=64), lambda values: bool((values > 3).any()))
    tensor([[4.]])
    >>> find(array_values(allow_nan=True), lambda values: bool(values.isnan().any()))
    tensor([[nan]])
    """
    check_strategies(shapes=shapes)
    how = Values.checked(values)

    def draw_array(draw: Draw) -> torch.Tensor:
        shape = draw(_SHAPES if shapes is None else shapes)
        for size in shape:
            check_size("shapes", size)
        dtype, device = how.kind(draw, draw.bytes("dtype", 1, exact=True))
        return printed_as_source(how.draw(draw, shape, dtype, device))

    return draw_array


_SHAPES = st.tuples(*[st.sampled_from((0, 1, 1, 2, 2, 3, 3, 4, 4))] * 2)


@dataclass(frozen=True)
class Values:
    """The options of values, checked."""

    dtypes: st.SearchStrategy[torch.dtype] | None
    bound: int
    wide: bool | tuple[float, float] = False
    allow_nan: bool = False
    allow_infinity: bool = False
    allow_subnormal: bool = False
    layouts: st.SearchStrategy[str] | None = None
    requires_grad: st.SearchStrategy[bool] | None = None
    devices: st.SearchStrategy[torch.device] | None = None

    @classmethod
    def checked(cls, options: ValueOptions, features: int = MAX_FEATURES) -> Values:
        """What is asked for, with the bound of so many features unless it says another one."""
        given: dict[str, Any] = dict(options)
        known = [field.name for field in fields(cls)]
        strategies: dict[str, Any] = {
            n: given.get(n) for n in ("dtypes", "layouts", "requires_grad", "devices")
        }
        check_strategies(**strategies)
        flags: dict[str, Any] = {
            name: given.get(name, False) for name in known if name.startswith(("wide", "allow"))
        }
        if not isinstance(flags["wide"], bool):
            flags["wide"] = _magnitudes_between(flags["wide"])
        check_flags(**{n: bool(flag) if n == "wide" else flag for n, flag in flags.items()})
        bound = given.get("bound")
        if flags["wide"] and bound is not None:
            raise InvalidArgument(
                f"bound={bound} is of multiples of 1/8; wide numbers have magnitudes: give one only"
            )
        return cls(bound=checked_bound(bound, features), **flags, **strategies)

    def kind(self, draw: Draw, data: Bytes) -> tuple[torch.dtype, torch.device]:
        """What all values of a map have in common, by a byte where nothing else was asked for."""
        picked = data.pick(_FLOATING)
        dtype = picked if self.dtypes is None else draw(self.dtypes)
        if not isinstance(dtype, torch.dtype):
            raise InvalidArgument(f"dtypes gave {dtype!r}, which is no torch.dtype")
        return dtype, _CPU if self.devices is None else torch.device(draw(self.devices))

    def draw(
        self,
        draw: Draw,
        shape: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        *,
        purpose: str = "values",
        hollow: bool = False,
    ) -> torch.Tensor:
        """Values of this shape, in one draw labelled by its ``purpose``; where ``hollow``, those of the
        first sample are 0.
        """
        values = self._numbers(draw, shape, dtype, purpose)
        if hollow:
            values[:1] = 0
        if device is not _CPU:
            values = values.to(device)
        if self.layouts is not None:
            values = laid_out(values, draw(self.layouts))
        if self.requires_grad is not None and draw(self.requires_grad):
            values.requires_grad_(dtype.is_floating_point or dtype.is_complex)
        return values

    def _numbers(
        self, draw: Draw, shape: Sequence[int], dtype: torch.dtype, purpose: str
    ) -> torch.Tensor:
        count = prod(shape) * (1 + dtype.is_complex)
        table, scaled = _table(
            _real(dtype),
            self.bound,
            self.wide,
            self.allow_nan,
            self.allow_infinity,
            self.allow_subnormal,
        )
        width = 3 if self.wide and (dtype.is_floating_point or dtype.is_complex) else 1
        drawn = draw.bytes(purpose, count * width).take(count * width)
        data = np.frombuffer(drawn, dtype=np.uint8)
        numbers = table[data[:count]]
        if width > 1:
            rest = data[count:].astype(np.float64).reshape(2, count)
            # as fine as the dtype tells apart: rounded up, the largest would be infinite
            eps = torch.finfo(_real(dtype)).eps
            fraction = 1 + eps * np.floor((rest[0] + rest[1] / 256) / 256 / eps)
            np.multiply(numbers, fraction, out=numbers, where=scaled[data[:count]])
            if isinstance(self.wide, tuple):
                most = min(self.wide[1], torch.finfo(_real(dtype)).max)
                clipped = np.clip(numbers, -most, most)
                numbers = np.where(np.isinf(numbers), numbers, clipped)
        values = torch.from_numpy(numbers)
        if dtype.is_complex:
            values = torch.view_as_complex(values.to(_real(dtype)).reshape(-1, 2))
        return values.to(dtype).reshape(tuple(shape))


def _magnitudes_between(wide: object) -> tuple[float, float]:
    """The smallest and the largest magnitude of wide numbers that are not 0."""
    if isinstance(wide, (tuple, list)) and len(wide) == 2:
        low, high = wide
        if all(isinstance(end, (int, float)) for end in wide) and 0 < low <= high < inf:
            return float(low), float(high)
    raise InvalidArgument(
        f"wide={wide!r} must be True, False, or two magnitudes, the smaller one first: (1e-3, 1e6)"
    )


def _real(dtype: torch.dtype) -> torch.dtype:
    return {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(dtype, dtype)


@functools.cache
def _table(
    dtype: torch.dtype,
    bound: int,
    wide: bool | tuple[float, float],
    allow_nan: bool,
    allow_infinity: bool,
    allow_subnormal: bool,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What every byte stands for, simplest first and with its sign in the lowest bit, and whether a
    fraction scales it.

    An eighth of the bytes are special numbers, where there are any.
    """
    special: list[float] = []
    if dtype.is_floating_point:
        info = torch.finfo(dtype)
        special += [nan] * allow_nan + [inf, -inf] * allow_infinity
        if allow_subnormal:
            special += [
                info.smallest_normal / 2,
                -info.smallest_normal / 2,
                info.smallest_normal * info.eps,
            ]
        if wide is True:
            special += [info.max, info.min, info.smallest_normal, 1 + info.eps]
        elif wide:
            special += [wide[1], -wide[1], wide[0], -wide[0]]
    elif wide is True and dtype != torch.bool:
        special += [torch.iinfo(dtype).max, torch.iinfo(dtype).min]
    ordinary = 224 if special else 256
    if dtype.is_floating_point and not wide:
        picked = [units(bound)[byte // 2 * 256 // ordinary * 2 + byte % 2] for byte in range(ordinary)]
    else:
        magnitudes = _magnitudes(dtype, bound, wide)
        signs = (1, 1) if dtype in _UNSIGNED else (1, -1)
        slots = [magnitudes[i * len(magnitudes) * 2 // ordinary] for i in range(ordinary // 2)]
        picked = [sign * magnitude for magnitude in slots for sign in signs]
    picked += [special[i * len(special) // 32] for i in range(256 - ordinary)]
    scaled = [bool(wide) and byte < ordinary and value != 0 for byte, value in enumerate(picked)]
    return np.array(picked, np.float64 if dtype.is_floating_point else np.int64), np.array(scaled)


def _magnitudes(dtype: torch.dtype, bound: int, wide: bool | tuple[float, float]) -> list[float]:
    """From 0 up: whole numbers up to bound/8, or powers of two, those of floats to both ends, or to
    those that are given."""
    if not wide or dtype == torch.bool:
        return list(range(2 if dtype == torch.bool else max(1, bound // UNITS) + 1))
    if not dtype.is_floating_point:
        powers_of_two = [2**power for power in range(torch.iinfo(dtype).bits - 1)]
        numbers = sorted({number - less for number in powers_of_two for less in (0, 1)})
        if isinstance(wide, bool):
            return list(numbers)
        return [0, *(number for number in numbers if wide[0] <= number <= wide[1])]
    info = torch.finfo(dtype)
    if isinstance(wide, bool):
        ends = [frexp(end)[1] - 1 for end in (info.max, info.smallest_normal)]
        powers = sorted({round(end * i / 24) for end in ends for i in range(25)}, key=abs)
        return [0.0, *(2.0**power for power in powers)]
    low, high = max(wide[0], info.smallest_normal), min(wide[1], info.max)
    steps = (low * (high / low) ** (i / 47) for i in range(48))
    # from those near 1 to both ends
    return [0.0, *sorted(dict.fromkeys(steps), key=lambda number: abs(log2(number)))]


def laid_out(values: torch.Tensor, layout: str) -> torch.Tensor:
    """The contiguous ``values`` lying in memory as :func:`layouts` says of the name."""
    if layout not in LAYOUTS:
        raise InvalidArgument(f"layouts gave {layout!r}; there are {', '.join(LAYOUTS)}")
    if layout == "conjugate" and values.dtype.is_complex:
        return values.conj().resolve_conj().conj()
    if layout == "negative" and values.dtype not in _UNSIGNED:
        return torch._neg_view(-values)
    if not values.numel() or not values.dim():
        return values
    if layout == "transposed":
        back = tuple(reversed(range(values.dim())))
        return values.permute(back).contiguous().permute(back)
    if layout == "expanded":
        return values[:1].clone().expand(values.shape)
    between = nan if values.dtype.is_floating_point or values.dtype.is_complex else 1
    if layout == "strided":
        wide = values.new_full((*values.shape, 2), between)
        wide[..., 0] = values
        return wide[..., 0]
    if layout == "offset":
        flat = torch.cat([values.new_full((3,), between), values.flatten()])
        return flat[3:].view(values.shape)
    return values
