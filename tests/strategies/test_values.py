import math
import re
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref.strategies import array_values, dtypes, layouts, unit_bound
from tmref.strategies._bytes import Bytes
from tmref.strategies.values import LAYOUTS, Values, laid_out

FLOATING = [torch.float32, torch.float64]
HALF = [torch.float16, torch.bfloat16]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
COMPLEX = [torch.complex64, torch.complex128]
DIFFERENTIABLE = FLOATING + HALF + COMPLEX
ALL = [*DIFFERENTIABLE, *INTEGERS, torch.bool]
UNSIGNED = [torch.uint8, torch.bool]
#: All that goes with any dtype.
ANYTHING = {"wide": True, "allow_nan": True, "allow_infinity": True, "allow_subnormal": True}
CPU = torch.device("cpu")

one_layout = pytest.mark.parametrize("layout", LAYOUTS)


def of_one_dtype(dtype, *shape, **options):
    return array_values(shapes=st.just(shape), dtypes=st.just(dtype), **options)


class Given:
    """Draws the bytes that it was given."""

    def __init__(self, data):
        self.data = data

    def bytes(self, purpose, count, *, exact=False):
        return Bytes(bytes(self.data))


def of_bytes(data, dtype, **options):
    """What these bytes stand for, however rarely they are drawn."""
    values = Values.checked(options)
    count = len(data)
    if options.get("wide") and dtype.is_floating_point | dtype.is_complex:
        count //= 3
    shape = [count // (1 + dtype.is_complex)]
    return values.draw(Given(data), shape, dtype, CPU)


def parts(values):
    """The numbers, those of complex ones one by one, in float64."""
    real = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return real.flatten().to(torch.float64)


def bits(values):
    """All that can be told of the numbers, NaN included, but not the signs of NaN and of zeros."""
    plain = values.new_empty(values.numel()).copy_(values.detach().flatten())
    real = torch.view_as_real(plain) if plain.dtype.is_complex else plain
    if real.is_floating_point():
        real[real.isnan()] = math.nan
        real += 0.0
    return values.dtype, tuple(values.shape), plain.view(torch.uint8).tolist()


def memory(values, count):
    """The first numbers of what it lies in."""
    return values.as_strided((count,), (1,), 0)


def contiguous_strides(shape):
    return torch.empty(shape).stride()


# --- dtypes


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, FLOATING),
        ({"allow_half": True}, FLOATING + HALF),
        ({"allow_integers": True}, FLOATING + INTEGERS),
        ({"allow_complex": True}, FLOATING + COMPLEX),
        (
            {"allow_half": True, "allow_integers": True, "allow_complex": True},
            FLOATING + HALF + INTEGERS + COMPLEX,
        ),
    ],
)
def test_dtypes_are_those_that_are_allowed(options, expected, drawn):
    assert set(drawn(dtypes(**options), 200)) == set(expected)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda dtype: True, torch.float32),
        (lambda dtype: dtype.itemsize == 2, torch.float16),
        (lambda dtype: not dtype.is_floating_point, torch.int64),
        (lambda dtype: dtype.is_complex, torch.complex64),
    ],
)
def test_dtypes_shrink_to_float32(predicate, expected, minimal):
    strategy = dtypes(allow_half=True, allow_integers=True, allow_complex=True)
    assert minimal(strategy, predicate) == expected


@pytest.mark.parametrize("name", ["allow_half", "allow_integers", "allow_complex"])
@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_bad_options_of_dtypes_are_refused(name, bad, refused):
    with refused(InvalidArgument, f"{name}={bad!r} must be True or False"):
        dtypes(**{name: bad})


@pytest.mark.parametrize("dtype", FLOATING)
def test_values_are_of_both_floating_dtypes(dtype, first):
    assert first(array_values(), lambda values: values.dtype == dtype, 20).dtype == dtype


def test_values_are_of_the_dtypes_asked_for(drawn):
    found = drawn(array_values(dtypes=st.sampled_from(ALL)), 200)
    assert {values.dtype for values in found} == set(ALL)


# --- shapes


def test_shapes_are_two_axes_of_up_to_four_entries(drawn):
    shapes = {tuple(values.shape) for values in drawn(array_values(), 400)}
    assert shapes == {(n, m) for n in range(5) for m in range(5)}


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 1, 3, 2), [2, 2]])
def test_shapes_are_those_asked_for(shape, drawn):
    found = drawn(array_values(shapes=st.just(shape), dtypes=st.sampled_from(ALL)), 20)
    assert {tuple(values.shape) for values in found} == {tuple(shape)}


# --- multiples of 1/8


@settings(max_examples=100, database=None, deadline=None, derandomize=True)
@given(data=st.data())
def test_numbers_are_multiples_of_an_eighth_within_the_bound(data):
    bound = data.draw(st.integers(1, 127))
    options = {"allow_nan": data.draw(st.booleans())}
    values = data.draw(array_values(dtypes=st.sampled_from(DIFFERENTIABLE), bound=bound, **options))
    units = 8 * parts(values)
    units = units[~units.isnan()] if options["allow_nan"] else units
    assert torch.equal(units, units.round())
    assert bool((units.abs() <= bound).all())


@pytest.mark.parametrize("dtype", [*DIFFERENTIABLE, *INTEGERS])
@pytest.mark.parametrize("bound", [8, 31, 127, None])
def test_the_bound_is_kept_and_reached(dtype, bound):
    most = (unit_bound() if bound is None else bound) / 8
    if dtype in INTEGERS:
        most = math.floor(most)
    for allow_nan in (False, True):
        numbers = parts(of_bytes([*range(256)] * 2, dtype, bound=bound, allow_nan=allow_nan))
        numbers = numbers[~numbers.isnan()]
        assert numbers.max() == most
        assert numbers.min() == (0 if dtype in UNSIGNED else -most)


@pytest.mark.parametrize("number", [3, -3, 0.125, -2.875])
def test_the_bound_is_reached_within_a_hundred_examples(number, first):
    assert (first(array_values(), lambda values: bool((values == number).any()), 100) == number).any()


@pytest.mark.parametrize("options", [{}, {"allow_nan": True}, {"wide": True}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_the_sign_is_in_the_lowest_bit(dtype, options):
    """Which is what lets a number become positive before its magnitude is what it has to be."""
    fractions = [0] * 448 if options.get("wide") and dtype.is_floating_point else []
    values = of_bytes([*range(224), *fractions], dtype, **options)
    assert bool((values[::2] >= 0).all())
    assert torch.equal(values[::2], -values[1::2])


@pytest.mark.parametrize("bound", [1, 7, 24, 127])
def test_numbers_are_exact_in_every_dtype(bound):
    expected = of_bytes(range(256), torch.float64, bound=bound)
    for dtype in (torch.float32, *HALF):
        assert torch.equal(of_bytes(range(256), dtype, bound=bound).double(), expected)
    for dtype in COMPLEX:
        assert torch.equal(parts(of_bytes(range(256), dtype, bound=bound)), expected)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        *((dtype, {-3, -2, -1, 0, 1, 2, 3}) for dtype in INTEGERS[:-1]),
        (torch.uint8, {0, 1, 2, 3}),
        (torch.bool, {False, True}),
    ],
)
def test_integers_are_whole_numbers(dtype, expected, drawn):
    found = drawn(of_one_dtype(dtype, 8), 50)
    assert {number for values in found for number in values.tolist()} == expected


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize(
    "predicate",
    [
        lambda v: v.real < 0 < v.imag,
        lambda v: v.imag < 0 < v.real,
        lambda v: v.real == 0 != v.imag,
        lambda v: v.imag == 0 != v.real,
        lambda v: v.real == -3,
        lambda v: v.imag == 3,
    ],
)
def test_complex_numbers_have_two_of_their_own(dtype, predicate, first):
    first(of_one_dtype(dtype, 3), lambda values: any(map(predicate, values.tolist())), 100)


def test_every_place_gets_every_number(drawn):
    found = torch.stack(drawn(of_one_dtype(torch.float32, 17, bound=2), 300))
    for place in found.T:
        assert {8 * number for number in place.tolist()} == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("shape", [(8,), (2, 4), (5, 5)])
def test_values_are_not_mostly_zeros(shape, drawn):
    found = drawn(of_one_dtype(torch.float32, *shape), 300)
    assert sum(not bool(values.any()) for values in found) <= 60
    assert sum(bool((values == 0).any()) for values in found) < 300
    full = [values for values in found if bool(values.any())]
    assert sum(bool((values == 0).float().mean() < 0.5) for values in full) > len(full) / 2


# --- all magnitudes, NaN, infinities, subnormal numbers


@pytest.mark.parametrize("dtype", DIFFERENTIABLE)
@pytest.mark.parametrize(
    "predicate",
    [
        lambda v, info: v == info.max,
        lambda v, info: v == info.min,
        lambda v, info: v == info.smallest_normal,
        lambda v, info: v == 1 + info.eps,
        lambda v, info: v.abs() > info.max / 1000,
        lambda v, info: v < -(info.max**0.5),
        lambda v, info: (v != 0) & (v.abs() < 1000 * info.smallest_normal),
        lambda v, info: (v < 0) & (v.abs() < info.smallest_normal**0.5),
        lambda v, info: v == 0,
        lambda v, info: (v.abs() > 2) & (v < info.max / 2) & (v.frexp().mantissa.abs() != 0.5),
    ],
    ids=["max", "min", "least", "1 + eps", "huge", "-large", "tiny", "-small", "0", "no power of two"],
)
def test_wide_numbers_reach(dtype, predicate, first):
    info = torch.finfo(dtype)
    first(of_one_dtype(dtype, 6, wide=True), lambda v: bool(predicate(parts(v), info).any()), 200)


@pytest.mark.parametrize("dtype", DIFFERENTIABLE)
def test_wide_numbers_are_finite_and_normal(dtype):
    """Also where the largest power of two has the largest fraction, which a half rounds up."""
    info = torch.finfo(dtype)
    count = 256 * (1 + dtype.is_complex)
    for fraction in (0, 1, 127, 255):
        data = [*range(256)] * (count // 256) + [fraction] * (2 * count)
        numbers = parts(of_bytes(data, dtype, wide=True))
        assert bool(numbers.isfinite().all())
        assert numbers[numbers != 0].abs().min() == info.smallest_normal
        assert {info.max, info.min} <= set(numbers.tolist())


@pytest.mark.parametrize("dtype", INTEGERS)
def test_wide_integers_reach_both_ends(dtype, first, drawn):
    info = torch.iinfo(dtype)
    for end in (info.min, info.max):
        first(of_one_dtype(dtype, 6, wide=True), lambda v, end=end: bool((v == end).any()), 200)
    found = {abs(number) for v in drawn(of_one_dtype(dtype, 6, wide=True), 300) for number in v.tolist()}
    powers = {2**power for power in range(info.bits - 1)}
    assert len(powers & found) > len(powers) / 2


def test_wide_bools_are_both(drawn):
    found = drawn(of_one_dtype(torch.bool, 6, wide=True), 20)
    assert {value for values in found for value in values.tolist()} == {True, False}


def subnormal(v):
    return (v != 0) & (v.abs() < torch.finfo(v.dtype).smallest_normal)


#: What is special about real numbers, and the option that allows it.
SPECIAL = {
    "nan": ("allow_nan", torch.isnan),
    "inf": ("allow_infinity", torch.isposinf),
    "-inf": ("allow_infinity", torch.isneginf),
    "subnormal": ("allow_subnormal", lambda v: subnormal(v) & (v > 0)),
    "-subnormal": ("allow_subnormal", lambda v: subnormal(v) & (v < 0)),
    "least subnormal": (
        "allow_subnormal",
        lambda v: v == torch.finfo(v.dtype).smallest_normal * torch.finfo(v.dtype).eps,
    ),
}
special = pytest.mark.parametrize(("option", "is_special"), SPECIAL.values(), ids=SPECIAL)


def real_parts(v):
    return torch.view_as_real(v) if v.is_complex() else v


@special
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("dtype", DIFFERENTIABLE)
def test_special_numbers_are_reached_where_they_are_allowed(option, is_special, wide, dtype, first):
    strategy = of_one_dtype(dtype, 4, wide=wide, **{option: True})
    first(strategy, lambda v: bool(is_special(real_parts(v)).any()), 100)


@special
@pytest.mark.parametrize("wide", [False, True])
def test_special_numbers_are_where_they_are_allowed_only(option, is_special, wide, drawn):
    others = {
        name: True for name in ("allow_nan", "allow_infinity", "allow_subnormal") if name != option
    }
    strategy = array_values(dtypes=st.sampled_from(DIFFERENTIABLE), wide=wide, **others)
    found = drawn(strategy, 200)
    assert not any(bool(is_special(real_parts(v)).any()) for v in found)
    assert sum(not bool(v.isfinite().all()) for v in found) > 20 or option != "allow_subnormal"


def test_special_numbers_are_few(drawn):
    found = torch.stack(drawn(of_one_dtype(torch.float32, 10, allow_nan=True), 200))
    assert 0.03 < found.isnan().double().mean() < 0.3


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.bool])
def test_integers_have_no_special_numbers(dtype, drawn):
    flags = {name: True for name in ANYTHING if name != "wide"}
    plain, flagged = (drawn(of_one_dtype(dtype, 4, **options), 30) for options in ({}, flags))
    assert list(map(bits, plain)) == list(map(bits, flagged))


def test_nothing_warns():
    def draw(values):
        values.isnan()

    strategy = array_values(
        dtypes=st.sampled_from(ALL), layouts=layouts(), requires_grad=st.booleans(), **ANYTHING
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings(max_examples=200, database=None, deadline=None, derandomize=True)(
            given(strategy)(draw)
        )()
        for dtype in ALL:
            of_bytes([*range(256)] * 6, dtype, **ANYTHING)


# --- layouts


def test_layouts_are_all_of_them(drawn):
    assert set(drawn(layouts(), 100)) == set(LAYOUTS)


def test_layouts_shrink_to_contiguous(minimal):
    assert minimal(layouts(), lambda layout: True) == "contiguous"
    assert minimal(layouts(), lambda layout: layout != "contiguous") == "transposed"


@one_layout
@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 2), (1, 1), (2, 0, 3), (2, 3, 2)])
def test_numbers_stay_as_they_are_in_every_layout(layout, shape):
    for dtype in ALL:
        count = math.prod(shape) * (1 + dtype.is_complex) * (3 if dtype in DIFFERENTIABLE else 1)
        contiguous = of_bytes([7 * i % 256 for i in range(count)], dtype, **ANYTHING).reshape(shape)
        expected = contiguous[:1].expand(shape) if layout == "expanded" and shape else contiguous
        before = bits(expected)
        assert bits(laid_out(contiguous, layout)) == before == bits(expected)


@one_layout
def test_the_same_choices_are_the_same_numbers_in_every_layout(layout, drawn):
    plain, found = (
        drawn(array_values(layouts=st.just(name), dtypes=st.sampled_from(ALL), **ANYTHING), 60)
        for name in ("contiguous", layout)
    )
    if layout == "expanded":
        plain = [values[:1].expand(values.shape) for values in plain]
    assert list(map(bits, found)) == list(map(bits, plain))


@one_layout
@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.uint8, torch.bool, torch.complex64])
def test_layouts_are_what_they_say(layout, dtype, first):
    shape = (3, 2, 4)
    plain = contiguous_strides(shape)
    values = first(of_one_dtype(dtype, *shape, layouts=st.just(layout)), lambda v: True)
    assert values.stride() == {
        "transposed": (1, 3, 6),
        "strided": tuple(2 * stride for stride in plain),
        "expanded": (0, *plain[1:]),
    }.get(layout, plain)
    assert values.storage_offset() == (3 if layout == "offset" else 0)
    assert values.is_conj() == (layout == "conjugate" and dtype.is_complex)
    assert values.is_neg() == (layout == "negative" and dtype not in UNSIGNED)


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("layout", ["strided", "offset"])
def test_nan_or_ones_lie_between_the_numbers(layout, dtype, first):
    values = first(of_one_dtype(dtype, 3, 2, layouts=st.just(layout)), lambda v: not bool(v.any()))
    between = memory(values, 11)[1::2] if layout == "strided" else memory(values, 3)
    assert len(between) == (5 if layout == "strided" else 3)
    assert bool((between.isnan() if dtype in DIFFERENTIABLE else between == 1).all())


@one_layout
@pytest.mark.parametrize("shape", [(), (0, 3), (3, 0)])
def test_layouts_that_a_tensor_cannot_have_leave_it_contiguous(layout, shape, drawn):
    for values in drawn(array_values(shapes=st.just(shape), layouts=st.just(layout)), 5):
        assert values.is_contiguous()
        assert values.storage_offset() == 0


@pytest.mark.parametrize(
    "predicate",
    [
        lambda v: v.is_contiguous() and not v.storage_offset(),
        lambda v: v.stride() == (1, 3),
        lambda v: v.stride() == (4, 2),
        lambda v: v.stride() == (0, 1),
        lambda v: v.storage_offset() > 0,
        lambda v: v.is_conj(),
        lambda v: v.is_neg(),
    ],
    ids=LAYOUTS,
)
def test_layouts_are_reached_within_a_hundred_examples(predicate, first):
    kind = dtypes(allow_complex=True)
    first(array_values(shapes=st.just((3, 2)), dtypes=kind, layouts=layouts()), predicate, 100)


def test_without_the_option_all_are_contiguous(drawn):
    for values in drawn(array_values(dtypes=st.sampled_from(ALL)), 60):
        where = values.is_contiguous(), values.storage_offset(), values.is_conj(), values.is_neg()
        assert where == (True, 0, False, False)


# --- gradients and devices


@pytest.mark.parametrize("dtype", ALL)
def test_gradients_are_asked_for_where_there_can_be_any(dtype, drawn):
    options = {"layouts": layouts(), "requires_grad": st.just(True)}
    for values in drawn(of_one_dtype(dtype, 2, 2, **options), 20):
        assert values.requires_grad == (dtype in DIFFERENTIABLE)
        assert values.is_leaf


@pytest.mark.parametrize(
    ("option", "expected"), [(None, {False}), (st.just(False), {False}), (st.booleans(), {False, True})]
)
def test_gradients_are_asked_for_as_the_option_says(option, expected, drawn):
    assert {v.requires_grad for v in drawn(array_values(requires_grad=option), 30)} == expected


@pytest.mark.parametrize("device", ["meta", torch.device("meta"), "cpu", torch.device("cpu"), None])
def test_values_are_on_the_device_asked_for(device, drawn):
    option = None if device is None else st.just(device)
    for values in drawn(array_values(devices=option, layouts=layouts()), 20):
        assert values.device == torch.device(device or "cpu")


@one_layout
def test_layouts_on_another_device_are_the_same(layout, drawn):
    options = {
        "shapes": st.just((3, 2)),
        "layouts": st.just(layout),
        "dtypes": dtypes(allow_complex=True),
    }
    there = drawn(array_values(devices=st.just("meta"), **options), 10)
    here = drawn(array_values(devices=st.just("cpu"), **options), 10)
    for a, b in zip(there, here, strict=True):
        assert (a.device.type, b.device.type) == ("meta", "cpu")
        assert (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
        assert (a.is_conj(), a.is_neg()) == (b.is_conj(), b.is_neg())
        assert a.storage_offset() == b.storage_offset()


# --- what is shrunk


def shrinks(*cases):
    return pytest.mark.parametrize(("predicate", "expected"), cases)


@shrinks(
    (lambda v: True, [0, 0, 0]),
    (lambda v: bool((v < 0).any()), [-1, 0, 0]),
    (lambda v: bool((v > 0).all()), [1, 1, 1]),
    (lambda v: bool((v > 3).any()), None),
    (lambda v: bool((v >= 2).any()), [2, 0, 0]),
    (lambda v: float(v[1]) < 0, [0, -1, 0]),
    (lambda v: float(v[2]) > 2, [0, 0, 3]),
    (lambda v: bool((v != v.round()).any()), [0.5, 0, 0]),
    (lambda v: v[1] != v[1].round(), [0, 0.5, 0]),
    (lambda v: float(v[0]) > 0 > float(v[2]), [1, 0, -1]),
)
@pytest.mark.parametrize("options", [{"bound": 32}, {"bound": 32, "allow_nan": True}])
def test_every_value_shrinks_by_itself(predicate, expected, options, minimal):
    found = minimal(array_values(shapes=st.just((3,)), **options), predicate)
    assert found.tolist() == ([4, 0, 0] if expected is None else expected)
    assert found.dtype == torch.float32


@shrinks(
    (lambda v: True, []),
    (lambda v: v.numel() > 0, [[0]]),
    (lambda v: bool((v > 2).any()), [[3]]),
    (lambda v: v.numel() > 1, [[0, 0]]),
)
def test_shapes_shrink_to_few_entries(predicate, expected, minimal):
    assert minimal(array_values(), predicate).tolist() == expected


@shrinks(
    (lambda v: bool(v.isnan().any()), [math.nan, 0, 0]),
    (lambda v: math.isnan(v[1]), [0, math.nan, 0]),
    (lambda v: bool(v.isinf().any()), [math.inf, 0, 0]),
    (lambda v: bool(v.isneginf().any()), [-math.inf, 0, 0]),
    (lambda v: bool((v > 0).any()), [1, 0, 0]),
    (lambda v: bool((v < 0).any()), [-1, 0, 0]),
    (lambda v: bool((v > 1e6).any() and v.isfinite().all()), None),
)
def test_numbers_of_all_kinds_shrink_by_themselves(predicate, expected, minimal):
    found = minimal(of_one_dtype(torch.float32, 3, **ANYTHING), predicate).tolist()
    if expected is None:
        (largest, *zeros) = found
        assert (zeros, math.log2(largest) % 1) == ([0, 0], 0)
    else:
        assert repr(found) == repr(list(map(float, expected)))


@pytest.mark.parametrize(
    ("dtype", "predicate", "expected"),
    [
        (torch.int64, lambda v: bool((v < 0).any()), [-1, 0]),
        (torch.int8, lambda v: bool((v > 2).any()), [3, 0]),
        (torch.uint8, lambda v: bool(v.any()), [1, 0]),
        (torch.bool, lambda v: bool(v.all()), [True, True]),
        (torch.complex64, lambda v: bool(v.any()), [1, 0]),
        (torch.complex64, lambda v: v[0].imag > 0, [1j, 0]),
        (torch.complex128, lambda v: v[1].imag < 0, [0, -1j]),
        (torch.bfloat16, lambda v: bool((v > 2).any()), [3, 0]),
    ],
)
def test_values_of_other_dtypes_shrink_by_themselves(dtype, predicate, expected, minimal):
    assert minimal(of_one_dtype(dtype, 2), predicate).tolist() == expected


def test_the_other_options_shrink_to_what_they_are_without_them(minimal):
    strategy = array_values(
        dtypes=dtypes(allow_half=True, allow_complex=True),
        layouts=layouts(),
        requires_grad=st.booleans(),
        devices=st.sampled_from(["cpu", "meta"]),
    )
    found = minimal(strategy, lambda v: v.numel() == 4)
    assert (found.dtype, found.device, found.requires_grad) == (torch.float32, CPU, False)
    assert (found.is_contiguous(), found.storage_offset(), found.is_neg()) == (True, 0, False)
    assert minimal(strategy, lambda v: v.is_conj() and v.requires_grad).dtype == torch.complex64


# --- what is printed


def failing_example(strategy, predicate):
    """The code that Hypothesis prints of the least thing that it is true for, and the thing."""
    seen = []

    @settings(max_examples=500, database=None, deadline=None, derandomize=True)
    @given(values=strategy)
    def check(values):
        seen.append(values)
        assert not predicate(values)

    with pytest.raises(AssertionError) as caught:
        check()
    (code,) = re.findall(r"\n    values=(.*),\n\)", "\n".join(caught.value.__notes__))
    return code, seen[-1]


@pytest.mark.parametrize(
    ("options", "predicate", "expected"),
    [
        ({}, lambda v: bool((v > 2).any()), "torch.tensor([[3.0]])"),
        ({}, lambda v: len(v) == 4 and v.numel(), "torch.zeros((4, 1))"),
        ({}, lambda v: v.dtype == torch.float64, "torch.empty((0, 0), dtype=torch.float64)"),
        ({"allow_nan": True}, lambda v: bool(v.isnan().any()), "torch.tensor([[torch.nan]])"),
        (
            {"layouts": layouts(), "dtypes": st.just(torch.complex64)},
            lambda v: v.is_conj() and bool(v.imag.any()),
            "torch.tensor([[complex(0.0, -1.0)]]).conj()",
        ),
        (
            {"layouts": layouts(), "shapes": st.just((2, 2))},
            lambda v: v.stride() == (4, 2),
            "torch.tensor([0.0, torch.nan, 0.0, torch.nan, 0.0, torch.nan, 0.0])"
            ".as_strided((2, 2), (4, 2), 0)",
        ),
        (
            {"requires_grad": st.booleans(), "shapes": st.just((2,))},
            lambda v: v.requires_grad,
            "torch.zeros((2,)).requires_grad_()",
        ),
        (
            {"devices": st.just("meta")},
            lambda v: v.numel() == 1,
            'torch.empty((1, 1), device="meta")',
        ),
    ],
)
def test_failing_examples_print_as_code_that_makes_them(options, predicate, expected):
    code, values = failing_example(array_values(**options), predicate)
    assert code == expected
    again = eval(code, {"torch": torch})
    assert again.stride() == values.stride()
    assert (again.device, again.requires_grad) == (values.device, values.requires_grad)
    assert values.is_meta or bits(again) == bits(values)


# --- options


@pytest.mark.parametrize("name", ["shapes", "dtypes", "layouts", "requires_grad", "devices"])
@pytest.mark.parametrize("bad", [torch.float32, "contiguous", (2, 2), True, 0])
def test_options_that_are_no_strategies_are_refused(name, bad, refused):
    remedy = f"must be a strategy; for one value: hypothesis.strategies.just({bad!r})"
    with refused(InvalidArgument, f"{name}={bad!r} {remedy}"):
        array_values(**{name: bad})


@pytest.mark.parametrize("name", [name for name in ANYTHING if name != "wide"])
@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_flags_that_are_no_bools_are_refused(name, bad, refused):
    with refused(InvalidArgument, f"{name}={bad!r} must be True or False"):
        array_values(**{name: bad})


@pytest.mark.parametrize("bad", [0, -1, 128, True, 2.0, "3"])
def test_bad_bounds_are_refused(bad, refused):
    with refused(InvalidArgument, f"bound={bad!r} must be an int from 1 to 127"):
        array_values(bound=bad)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("ends", [(1e-3, 1e6), (2, 3), (0.7, 0.7), (1e-60, 1e60)])
def test_wide_numbers_between_two_magnitudes(ends, dtype, first):
    for data in range(256):
        numbers = parts(of_bytes([data, 255, 255], dtype, wide=ends)).abs()
        info = torch.finfo(dtype)
        low, high = max(ends[0], info.smallest_normal), min(ends[1], info.max)
        few = 4 * info.eps
        assert bool(
            ((numbers == 0) | ((numbers >= low * (1 - few)) & (numbers <= high * (1 + few)))).all()
        )
    middle = (ends[0] * ends[1]) ** 0.5
    for is_so in (lambda n: 0 < n <= middle * 1.001, lambda n: n >= middle / 1.001, lambda n: n == 0):
        first(
            of_one_dtype(dtype, 6, wide=ends),
            lambda v, is_so=is_so: any(map(is_so, v.abs().tolist())),
            300,
        )


def test_wide_integers_between_two_magnitudes(drawn):
    found = drawn(of_one_dtype(torch.int32, 6, wide=(100, 1000)), 200)
    numbers = {abs(number) for values in found for number in values.tolist()}
    assert min(numbers - {0}) >= 100
    assert max(numbers) <= 1000
    assert 0 in numbers


@pytest.mark.parametrize(
    "wide", [1, None, "wide", (1,), (0, 1), (2, 1), (1, math.inf), (1, math.nan), (1, "2")]
)
def test_magnitudes_that_are_none_are_refused(wide, refused):
    with pytest.raises(InvalidArgument, match=re.escape(f"wide={wide!r} must be True, False, or two")):
        array_values(wide=wide)


def test_a_bound_beside_wide_is_refused(refused):
    message = "bound=8 is of multiples of 1/8; wide numbers have magnitudes: give one only"
    with refused(InvalidArgument, message):
        array_values(bound=8, wide=True)
    assert isinstance(array_values(bound=None, wide=True), st.SearchStrategy)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("dtype", "did you mean 'dtypes'?"),
        ("allow_nans", "did you mean 'allow_nan'?"),
        ("shape", "did you mean 'shapes'?"),
        (
            "numbers",
            "there are shapes, dtypes, bound, wide, allow_nan, allow_infinity, allow_subnormal, "
            "layouts, requires_grad, devices",
        ),
    ],
)
def test_options_that_do_not_exist_are_refused(name, remedy, refused):
    with refused(InvalidArgument, f"array_values has no option {name!r}; {remedy}"):
        array_values(**{name: None})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shapes": st.just((2, -1))}, "shapes=-1 must be an int of at least 0"),
        ({"shapes": st.just((True,))}, "shapes=True must be an int of at least 0"),
        ({"shapes": st.just((2.0,))}, "shapes=2.0 must be an int of at least 0"),
        ({"dtypes": st.just("float32")}, "dtypes gave 'float32', which is no torch.dtype"),
        ({"dtypes": st.just(None)}, "dtypes gave None, which is no torch.dtype"),
        (
            {"layouts": st.just("sparse")},
            "layouts gave 'sparse'; there are contiguous, transposed, strided, expanded, offset, "
            "conjugate, negative",
        ),
    ],
)
def test_what_options_draw_is_checked(options, message, drawn):
    with pytest.raises(InvalidArgument, match=rf"^{re.escape(message)}(\n|$)"):
        drawn(array_values(**options), 1)
