"""Rotations and the inversion against explicit spherical harmonics, alone and on maps."""

import dataclasses
import functools
import math
import re

import numpy as np
import pytest
import torch

from tmref import Labels, NotEqualError, TensorBlock, TensorMap, allclose_raise, equal_metadata
from tmref.rotations import Rotation

IDENTITY = Rotation()
#: in general position, their norms far from 1
QUATERNIONS = [(0.3, -0.5, 0.7, 0.2), (-1.5, 0.1, 2, 3), (1e-3, 2e-3, -1e-3, 5e-4), (0, 1, -2, 0.5)]
GENERAL = [Rotation(quaternion) for quaternion in QUATERNIONS]
INVERTED = [Rotation(quaternion, inversion=True) for quaternion in QUATERNIONS]
assert_close = functools.partial(torch.testing.assert_close, rtol=0, atol=1e-12)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def points(*shape, seed=0):
    """Random points of the unit sphere."""
    return torch.nn.functional.normalize(random(*shape, 3, seed=seed), dim=-1)


def moved(matrix, r):
    """R r of all the points."""
    return r @ matrix.T


def product(p, q):
    """p q, the rotation by q and then by p.

    Source: W. R. Hamilton, i² = j² = k² = ijk = -1.
    """
    (a, b, c, d), (w, x, y, z) = p.quaternion, q.quaternion
    return Rotation(
        (
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ),
        p.inversion != q.inversion,
    )


# --- real spherical harmonics


def table(ell, r):
    """Y_ℓ of points of the unit sphere, the last axis being μ = -ℓ, ..., ℓ.

    Source: "Table of spherical harmonics", Wikipedia, where the real ones are those of M. A. Blanco,
    M. Flórez and M. Bermejo, J. Mol. Struct. (Theochem) 419, 19 (1997), and C. D. H. Chisholm, "Group
    theoretical techniques in quantum chemistry" (1976).
    """
    x, y, z = r.unbind(-1)
    sqrt, pi = math.sqrt, math.pi
    formulas = [
        [sqrt(1 / pi) / 2 * torch.ones_like(x)],
        [
            sqrt(3 / (4 * pi)) * y,
            sqrt(3 / (4 * pi)) * z,
            sqrt(3 / (4 * pi)) * x,
        ],
        [
            sqrt(15 / pi) / 2 * x * y,
            sqrt(15 / pi) / 2 * y * z,
            sqrt(5 / pi) / 4 * (3 * z**2 - 1),
            sqrt(15 / pi) / 2 * x * z,
            sqrt(15 / pi) / 4 * (x**2 - y**2),
        ],
        [
            sqrt(35 / (2 * pi)) / 4 * y * (3 * x**2 - y**2),
            sqrt(105 / pi) / 2 * x * y * z,
            sqrt(21 / (2 * pi)) / 4 * y * (5 * z**2 - 1),
            sqrt(7 / pi) / 4 * (5 * z**3 - 3 * z),
            sqrt(21 / (2 * pi)) / 4 * x * (5 * z**2 - 1),
            sqrt(105 / pi) / 4 * (x**2 - y**2) * z,
            sqrt(35 / (2 * pi)) / 4 * x * (x**2 - 3 * y**2),
        ],
        [
            sqrt(35 / pi) * 3 / 4 * x * y * (x**2 - y**2),
            sqrt(35 / (2 * pi)) * 3 / 4 * y * (3 * x**2 - y**2) * z,
            sqrt(5 / pi) * 3 / 4 * x * y * (7 * z**2 - 1),
            sqrt(5 / (2 * pi)) * 3 / 4 * y * (7 * z**3 - 3 * z),
            sqrt(1 / pi) * 3 / 16 * (35 * z**4 - 30 * z**2 + 3),
            sqrt(5 / (2 * pi)) * 3 / 4 * x * (7 * z**3 - 3 * z),
            sqrt(5 / pi) * 3 / 8 * (x**2 - y**2) * (7 * z**2 - 1),
            sqrt(35 / (2 * pi)) * 3 / 4 * x * (x**2 - 3 * y**2) * z,
            sqrt(35 / pi) * 3 / 16 * (x**2 * (x**2 - 3 * y**2) - y**2 * (3 * x**2 - y**2)),
        ],
    ]
    return torch.stack(formulas[ell], -1)


def harmonics(ell, r):
    """The same for any ℓ: Y_±m = √2 N_m d^m P_ℓ(z)/dz^m times the real or imaginary part of (x+iy)^m.

    Source: the definition by associated Legendre functions, their (-1)^m of Condon and Shortley left
    out; Varshalovich et al., section 5.2, has the derivatives of P_ℓ.
    """
    x, y, z = r.numpy()[..., 0], r.numpy()[..., 1], r.numpy()[..., 2]
    columns = {}
    for m in range(ell + 1):
        legendre = np.polynomial.legendre.Legendre.basis(ell).deriv(m)(z)
        fraction = math.factorial(ell - m) / math.factorial(ell + m)
        norm = math.sqrt((2 * ell + 1) / (4 * math.pi) * fraction * (2 if m else 1))
        power = norm * legendre * (x + 1j * y) ** m
        columns[m] = power.real
        if m:
            columns[-m] = power.imag
    return torch.from_numpy(np.stack([columns[mu] for mu in range(-ell, ell + 1)], -1))


@pytest.mark.parametrize("ell", range(5))
def test_the_harmonics_of_any_degree_are_those_of_the_table(ell):
    r = points(50)
    assert_close(harmonics(ell, r), table(ell, r))


# --- matrices


def check_wigner(wigner, matrix, ell):
    """Y(R r) = D Y(r) at so many points that they determine D; by the table as far as it goes."""
    of_degree = table if ell <= 4 else harmonics
    r = points(2 * ell + 20)
    assert wigner.shape == (2 * ell + 1, 2 * ell + 1)
    assert (wigner.dtype, wigner.device.type) == (torch.float64, "cpu")
    assert_close(of_degree(ell, moved(matrix, r)), moved(wigner, of_degree(ell, r)))


@pytest.mark.parametrize("ell", [*range(9), 12])
@pytest.mark.parametrize("rotation", GENERAL, ids=str)
def test_wigner_matrices_rotate_the_harmonics(rotation, ell):
    check_wigner(rotation.wigner(ell), rotation.matrix(), ell)


def without_condon_shortley(ell):
    return torch.diag(torch.tensor([(-1.0) ** mu for mu in range(-ell, ell + 1)], dtype=torch.float64))


DEFECTS = {
    "transposed": lambda d, ell: d.T,
    "negative": lambda d, ell: -d,
    "the identity": lambda d, ell: torch.eye(2 * ell + 1, dtype=d.dtype),
    "μ from ℓ to -ℓ": lambda d, ell: d.flip(0, 1),
    "rows from ℓ to -ℓ": lambda d, ell: d.flip(0),
    "the order (x, y, z)": lambda d, ell: d.roll((1, 1), (0, 1)),
    "the phase of Condon and Shortley": lambda d, ell: (
        without_condon_shortley(ell) @ d @ without_condon_shortley(ell)
    ),
    "one entry's last digits": lambda d, ell: d + 1e-10 * torch.eye(2 * ell + 1)[0],
    "float32": lambda d, ell: d.float(),
    "rounded to float32": lambda d, ell: d.float().double(),
}


@pytest.mark.parametrize("ell", [1, 2, 4, 8])
@pytest.mark.parametrize("defect", DEFECTS)
def test_wrong_wigner_matrices_are_noticed(defect, ell):
    rotation = GENERAL[0]
    with pytest.raises(AssertionError):
        check_wigner(DEFECTS[defect](rotation.wigner(ell), ell), rotation.matrix(), ell)


@pytest.mark.parametrize("rotation", GENERAL, ids=str)
def test_of_degree_1_it_is_the_matrix_in_the_order_y_z_x(rotation):
    order = [1, 2, 0]
    assert_close(rotation.wigner(1), rotation.matrix()[order][:, order])


@pytest.mark.parametrize("rotation", GENERAL, ids=str)
def test_the_matrix_turns_around_the_axis_by_the_angle(rotation):
    # Rodrigues' formula of the axis and the angle, which the code has of the quaternion
    w, *v = rotation.quaternion
    v = torch.tensor(v, dtype=torch.float64)
    angle, axis = 2 * math.atan2(v.norm(), w), v / v.norm()
    r = random(3)
    expected = r * math.cos(angle) + torch.linalg.cross(axis, r) * math.sin(angle)
    assert_close(rotation.matrix() @ r, expected + axis * (axis @ r) * (1 - math.cos(angle)))


@pytest.mark.parametrize("rotation", [*GENERAL, *INVERTED], ids=str)
def test_the_matrix_is_orthogonal_and_of_determinant_1_or_without_inversion_minus_1(rotation):
    matrix = rotation.matrix()
    assert (matrix.dtype, matrix.device.type, matrix.shape) == (torch.float64, "cpu", (3, 3))
    assert_close(matrix @ matrix.T, torch.eye(3, dtype=torch.float64))
    assert torch.linalg.det(matrix).item() == pytest.approx(-1 if rotation.inversion else 1, abs=1e-14)


@pytest.mark.parametrize("ell", [0, 1, 2, 5, 8, 40])
@pytest.mark.parametrize("rotation", GENERAL, ids=str)
def test_wigner_matrices_are_orthogonal_of_whatever_degree(rotation, ell):
    d = rotation.wigner(ell)
    assert_close(d @ d.T, torch.eye(2 * ell + 1, dtype=torch.float64))
    # of a connected group and real: they don't only have determinants of ±1
    assert torch.linalg.det(d).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ell", range(9))
@pytest.mark.parametrize("p", [*GENERAL[:2], INVERTED[2]], ids=str)
@pytest.mark.parametrize("q", [GENERAL[3], INVERTED[0]], ids=str)
def test_products_of_quaternions_are_products_of_matrices(p, q, ell):
    both = product(p, q)
    assert_close(both.matrix(), p.matrix() @ q.matrix())
    assert_close(both.wigner(ell), p.wigner(ell) @ q.wigner(ell))


def test_the_order_of_the_product_matters_so_the_wrong_one_would_be_noticed():
    p, q = GENERAL[:2]
    assert not torch.allclose(product(q, p).wigner(2), p.wigner(2) @ q.wigner(2), atol=0.1)


@pytest.mark.parametrize("factor", [-1, 2, -0.25, 1e-200, 1e200, 0.1])
@pytest.mark.parametrize("rotation", GENERAL, ids=str)
def test_any_multiple_of_a_quaternion_is_the_same_rotation(rotation, factor):
    other = Rotation(tuple(factor * v for v in rotation.quaternion))
    for ell in range(9):
        torch.testing.assert_close(other.wigner(ell), rotation.wigner(ell), rtol=0, atol=1e-14)
    torch.testing.assert_close(other.matrix(), rotation.matrix(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("number", [5e-324, 1.7e308, 10**400, 7])
def test_numbers_of_any_size_will_do(number):
    rotation = Rotation((number, 0, 0, -number))
    assert torch.equal(rotation.matrix(), Rotation((1, 0, 0, -1)).matrix())
    assert torch.equal(rotation.wigner(6), Rotation((1, 0, 0, -1)).wigner(6))


@pytest.mark.parametrize("quaternion", [(0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 1e-9, 1, 0)])
def test_where_euler_angles_are_singular_nothing_happens(quaternion):
    rotation = Rotation(quaternion)
    for ell in range(9):
        check_wigner(rotation.wigner(ell), rotation.matrix(), ell)


@pytest.mark.parametrize(("w", "z", "turns"), [(1, 1, 1), (1, -1, 3), (0, 1, 2), (-0.1, 0.1, 3)])
def test_right_angles_about_z_are_exact(w, z, turns):
    rotation = Rotation((w, 0, 0, z))
    for ell in range(9):
        d = rotation.wigner(ell)
        assert set(d.flatten().tolist()) <= {-1, 0, 1}
        assert d.abs().sum() == 2 * ell + 1
    turn = torch.tensor([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    assert torch.equal(rotation.matrix(), torch.linalg.matrix_power(turn, turns))


def test_all_24_rotations_of_the_cube_are_exact_up_to_rounding():
    numbers = [-1, 0, 1]
    found = set()
    for q in ((w, x, y, z) for w in numbers for x in numbers for y in numbers for z in numbers):
        if sum(map(abs, q)) in (1, 2, 4):
            matrix, d = Rotation(q).matrix(), Rotation(q).wigner(1)
            assert set(matrix.flatten().tolist()) <= {-1, 0, 1}
            assert_close(d, d.round(), atol=1e-15)
            found.add(tuple(matrix.flatten().tolist()))
    assert len(found) == 24


@pytest.mark.parametrize("quaternion", [(1, 0, 0, 0), (-2, 0, 0, 0), (0.3, 0.0, -0.0, 0.0)])
def test_the_identity_is_exactly_that(quaternion):
    for ell in range(9):
        assert torch.equal(Rotation(quaternion).wigner(ell), torch.eye(2 * ell + 1, dtype=torch.float64))
    assert torch.equal(Rotation(quaternion).matrix(), torch.eye(3, dtype=torch.float64))


def test_the_inversion_is_not_in_wigners_matrix():
    for rotation, inverted in zip(GENERAL, INVERTED, strict=True):
        assert torch.equal(inverted.wigner(3), rotation.wigner(3))
        assert torch.equal(inverted.matrix(), -rotation.matrix())


def test_a_matrix_that_somebody_changes_is_not_handed_out_again():
    rotation = GENERAL[0]
    with torch.inference_mode():
        rotation.wigner(2).zero_()
    d = rotation.wigner(2)
    assert not d.is_inference()
    check_wigner(d, rotation.matrix(), 2)


# --- maps

KEYS = [(0, 1), (0, -1), (1, 1), (1, -1), (2, 1), (2, -1), (5, -1)]
LAST, FIRST = ("k", "o3_mu"), ("o3_mu", "k")


def spherical(make, ell, components, samples, labels):
    """A block of Y_ℓ of random points, by ``make``."""
    names = ["xyz", *components] if "atom" in labels.names else list(components)
    others = {"xyz": 3, "k": 2}
    shape = [samples, *(others[name] for name in names if name != "o3_mu"), 3]
    values = make(points(*shape, seed=ell)).movedim(-1, 1 + names.index("o3_mu"))
    mu = Labels("o3_mu", torch.arange(-ell, ell + 1).reshape(-1, 1))
    axes = [mu if name == "o3_mu" else Labels.range(name, others[name]) for name in names]
    return TensorBlock(values, labels, axes, Labels.range("feature", 3))


def field(rotation=IDENTITY, *, keys=KEYS, components=("o3_mu",), gradients=True, dtype=torch.float64):
    """Blocks of Y_ℓ(M r) at points r of their own, M the matrix: of the values and of the gradients.

    Those of σ = -1 are pseudotensors: the inversion changes their sign once more.
    """
    blocks = []
    for ell, sigma in keys:
        sign = sigma if rotation.inversion else 1

        def make(r, ell=ell, sign=sign):
            return (sign * harmonics(ell, moved(rotation.matrix(), r))).to(dtype)

        block = spherical(make, ell, components, 4, Labels.range("system", 4))
        if gradients:
            rows = Labels(["sample", "atom"], torch.tensor([[0, 0], [2, 1], [2, 0]]))
            block.add_gradient("positions", spherical(make, ell, components, 3, rows))
        blocks.append(block)
    return TensorMap(Labels(["o3_lambda", "o3_sigma"], torch.tensor(keys)), blocks)


def check_map(transform, rotation, atol=1e-12, **options):
    """Rotated fields are the fields at rotated points, labels untouched, nothing changed in place."""
    x, before = field(**options), field(**options)
    y = transform(x)
    allclose_raise(y, field(rotation, **options), rtol=0, atol=atol)
    allclose_raise(x, before, rtol=0, atol=0)
    assert equal_metadata(x, y)
    for key in x.keys:
        assert y.block(key).dtype == x.block(key).dtype


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("components", [("o3_mu",), LAST, FIRST], ids=str)
@pytest.mark.parametrize("rotation", [*GENERAL[:2], *INVERTED[1:3], Rotation(inversion=True)], ids=str)
def test_rotated_fields_are_fields_at_rotated_points(rotation, components, gradients):
    check_map(rotation, rotation, components=components, gradients=gradients)


@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-6), (torch.float64, 1e-13), (torch.bfloat16, 3e-2)], ids=str
)
def test_values_keep_their_dtype(dtype, atol):
    check_map(INVERTED[0], INVERTED[0], dtype=dtype, atol=atol)


def test_complex_values_are_rotated_in_both_parts():
    check_map(INVERTED[0], INVERTED[0], dtype=torch.complex128)


def block_of(values, gradients, like):
    """A block with these values and gradients, and the labels of another one."""
    block = TensorBlock(values, like.samples, like.components, like.properties)
    for parameter, its in gradients.items():
        of = like.gradient(parameter)
        block.add_gradient(parameter, TensorBlock(its, of.samples, of.components, of.properties))
    return block


def in_place(x, values, gradients, sign):
    x.values[:] = values
    return values, gradients


#: Of a block, the rotated values and gradients and the sign of the inversion in them: what is given out.
WRONG = {
    "values as they were": lambda x, values, gradients, sign: (x.values, gradients),
    "gradients as they were": lambda x, values, gradients, sign: (
        values,
        {p: g.values for p, g in x.gradients()},
    ),
    "values without the sign": lambda x, values, gradients, sign: (sign * values, gradients),
    "gradients without the sign": lambda x, values, gradients, sign: (
        values,
        {p: sign * g for p, g in gradients.items()},
    ),
    "no gradients": lambda x, values, gradients, sign: (values, {}),
    "another dtype": lambda x, values, gradients, sign: (
        values.float(),
        {p: g.float() for p, g in gradients.items()},
    ),
    "in place": in_place,
}


def wrong(how, rotation):
    """The rotation, wrong in one way."""

    def transform(tensor):
        blocks = []
        for key, x, y in zip(tensor.keys, tensor, rotation(tensor), strict=True):
            sign = key["o3_sigma"] * (-1) ** key["o3_lambda"]
            rotated = y.values, {p: g.values for p, g in y.gradients()}
            blocks.append(block_of(*how(x, *rotated, sign), like=y))
        return TensorMap(tensor.keys, blocks)

    return transform


@pytest.mark.parametrize("how", WRONG)
def test_wrong_rotations_of_maps_are_noticed(how):
    rotation = INVERTED[0]
    with pytest.raises((AssertionError, NotEqualError)):
        check_map(wrong(WRONG[how], rotation), rotation)


def test_nothing_else_is_wrong_with_the_wrong_rotations():
    rotation = INVERTED[0]
    check_map(wrong(lambda x, values, gradients, sign: (values, gradients), rotation), rotation)


W, X, Y, Z = QUATERNIONS[0]


@pytest.mark.parametrize(
    "other",
    [Rotation((W, X, Y, Z)), Rotation((-W, X, Y, Z), inversion=True), Rotation(inversion=True)],
    ids=["without the inversion", "the inverse", "the inversion alone"],
)
def test_other_rotations_are_noticed(other):
    with pytest.raises(NotEqualError):
        check_map(other, INVERTED[0])


@pytest.mark.parametrize("by", [lambda key: (key[0], 1), lambda key: (0, key[1])], ids=["σ", "λ"])
def test_signs_that_leave_out_one_of_the_two_are_noticed(by):
    """As if the sign were (-1)^λ, or σ."""

    def transform(tensor):
        x = GENERAL[0](tensor)
        blocks = []
        for key, y in zip(tensor.keys, x, strict=True):
            ell, sigma = by(key)
            sign = sigma * (-1) ** ell
            gradients = {p: sign * g.values for p, g in y.gradients()}
            blocks.append(block_of(sign * y.values, gradients, like=y))
        return TensorMap(tensor.keys, blocks)

    with pytest.raises(NotEqualError):
        check_map(transform, INVERTED[0])


@pytest.mark.parametrize("sigma", [1, -1])
@pytest.mark.parametrize("ell", range(4))
def test_the_inversion_alone_is_a_sign(ell, sigma):
    x = field(keys=[(ell, sigma)])
    y = Rotation((1, 0, 0, 0), inversion=True)(x)
    for before, after in ((x[0], y[0]), (x[0].gradient("positions"), y[0].gradient("positions"))):
        assert torch.equal(after.values, sigma * (-1) ** ell * before.values)


def test_keys_without_a_sigma_are_those_of_proper_tensors(labels):
    x = field(keys=[(2, 1), (1, 1)])
    other = TensorMap(labels("key o3_lambda", [[7, 2], [7, 1]]), list(x))
    for rotation in (GENERAL[0], INVERTED[0]):
        for with_sigma, without in zip(rotation(x), rotation(other), strict=True):
            assert torch.equal(with_sigma.values, without.values)


@pytest.mark.parametrize("p", [GENERAL[0], INVERTED[1]], ids=str)
@pytest.mark.parametrize("q", [GENERAL[2], INVERTED[3]], ids=str)
def test_one_after_the_other_is_the_product(p, q):
    x = field(components=LAST)
    allclose_raise(p(q(x)), product(p, q)(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("quaternion", [(1, 0, 0, 0), (-3.0, 0.0, 0.0, 0.0)])
def test_the_identity_gives_the_values_bit_for_bit(quaternion, dtype):
    x = field(dtype=dtype)
    for block in x:
        block.values[0] = -0.0
        block.values[1, 0] = torch.tensor([math.nan, math.inf, -math.inf], dtype=dtype)
    for before, after in zip(x, Rotation(quaternion)(x), strict=True):
        bits = torch.int32 if dtype == torch.float32 else torch.int64
        assert torch.equal(before.values.view(bits), after.values.view(bits))
        assert torch.equal(before.gradient("positions").values, after.gradient("positions").values)


@pytest.mark.parametrize("rotation", [IDENTITY, *INVERTED[:1]], ids=str)
def test_no_memory_is_shared_with_the_argument(rotation):
    x, before = field(), field()
    for block in rotation(x):
        block.values.zero_()
        block.gradient("positions").values.zero_()
    allclose_raise(x, before, rtol=0, atol=0)


@pytest.mark.parametrize("components", [LAST, FIRST], ids=str)
@pytest.mark.parametrize("rotation", [IDENTITY, GENERAL[1], INVERTED[1]], ids=str)
def test_autograd_differentiates_by_the_values_twice(rotation, components):
    x = field(keys=[(2, -1)], components=components, gradients=False)

    def function(values):
        return rotation(TensorMap(x.keys, [block_of(values, {}, like=x[0])]))[0].values

    values = x[0].values.clone().requires_grad_()
    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


def test_the_derivative_is_the_transposed_matrix():
    rotation = INVERTED[0]
    x = field(keys=[(3, -1)])
    for of in (lambda b: b, lambda b: b.gradient("positions")):
        values = of(x[0]).values.requires_grad_()
        y = of(rotation(x)[0]).values
        cotangent = random(*y.shape, seed=3)
        (found,) = torch.autograd.grad(y, values, cotangent)
        assert_close(found, rotation.wigner(3).T @ cotangent)


def test_values_may_be_strided_anyhow():
    rotation = GENERAL[0]
    x = field(components=LAST, gradients=False)
    blocks = [TensorBlock(b.values.mT.contiguous().mT, b.samples, b.components, b.properties) for b in x]
    assert not blocks[-1].values.is_contiguous()
    allclose_raise(rotation(TensorMap(x.keys, blocks)), rotation(x), rtol=0, atol=1e-14)


def test_maps_without_samples_or_blocks(labels):
    x = TensorMap(labels("o3_lambda", []), [])
    assert equal_metadata(GENERAL[0](x), x)
    mu = labels("o3_mu", [[-1], [0], [1]])
    for shape in ((0, 3, 2), (2, 3, 0), (0, 3, 0)):
        axes = Labels.range("system", shape[0]), [mu], Labels.range("feature", shape[2])
        x = TensorMap(labels("o3_lambda", [[1]]), [TensorBlock(torch.zeros(shape), *axes)])
        y = GENERAL[0](x)
        assert equal_metadata(x, y)
        assert y[0].values.shape == shape


class DevicesOfProducts(torch.overrides.TorchFunctionMode):
    """Notes the devices of what is multiplied: the meta device would take tensors of others."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "matmul" in function.__name__:
            self.found |= {factor.device.type for factor in args}
        return function(*args, **(kwargs or {}))


def test_values_stay_on_their_device():
    x = field().to("meta")
    with DevicesOfProducts() as devices:
        y = GENERAL[0](x)
    assert devices.found == {"meta"}
    assert {block.device.type for block in y} == {"meta"}
    assert equal_metadata(x, y)


def test_the_default_device_and_dtype_do_not_matter():
    x, expected = field(dtype=torch.float32), GENERAL[0](field(dtype=torch.float32))
    torch.set_default_dtype(torch.float16)
    try:
        with torch.device("meta"):
            allclose_raise(GENERAL[0](x), expected, rtol=0, atol=0)
            assert GENERAL[0].matrix().device.type == "cpu"
    finally:
        torch.set_default_dtype(torch.float32)


# --- the dataclass, and what is refused


@pytest.mark.parametrize("rotation", [IDENTITY, *GENERAL, *INVERTED], ids=str)
def test_what_is_printed_can_be_evaluated(rotation):
    again = eval(repr(rotation), {"Rotation": Rotation})
    assert again == rotation
    assert hash(again) == hash(rotation)


def test_how_it_is_printed_and_that_it_is_frozen():
    assert repr(IDENTITY) == "Rotation((1, 0, 0, 0))"
    with pytest.raises(dataclasses.FrozenInstanceError):
        IDENTITY.inversion = True


QUATERNION = "quaternion must be a tuple (w, x, y, z) of four finite numbers, not all of them 0, got "


@pytest.mark.parametrize(
    "quaternion",
    [
        (0, 0, 0, 0),
        (0.0, -0.0, 0, 0.0),
        (1, 0, 0),
        (1, 0, 0, 0, 0),
        (),
        (1, 0, 0, math.nan),
        (math.inf, 0, 0, 0),
        (1, -math.inf, 0, 0),
        (1, 0, 0, "0"),
        (1, 0, 0, None),
        (1, 0, 0, 1j),
        [1, 0, 0, 0],
        1,
        None,
    ],
    ids=repr,
)
def test_what_is_no_quaternion_is_refused(quaternion, refused):
    with refused(ValueError, f"{QUATERNION}{quaternion!r}; (1, 0, 0, 0) is the identity"):
        Rotation(quaternion)


def test_negative_degrees_are_refused(refused, labels, block):
    message = (
        "o3_lambda must be at least 0, got -1; it is the degree of the spherical harmonics that a block "
        "transforms as"
    )
    with refused(ValueError, message):
        IDENTITY.wigner(-1)
    x = TensorMap(labels("o3_lambda o3_sigma", [[-1, 1]]), [block(2, 3)])
    with refused(ValueError, message):
        IDENTITY(x)


@pytest.mark.parametrize("blocks", [0, 1])
def test_keys_without_a_degree_are_refused(refused, labels, block, blocks):
    x = TensorMap(labels("o3_sigma key", [[1, 0]][:blocks]), [block(2, 3)] * blocks)
    message = (
        "the keys of a spherical TensorMap must have the dimension 'o3_lambda', got ['o3_sigma', 'key']"
        "; add it, with 0 where a block is invariant"
    )
    with refused(ValueError, message):
        IDENTITY(x)


@pytest.mark.parametrize(
    ("components", "got"),
    [
        ({}, "no components"),
        ({"xyz": [-1, 0, 1]}, "xyz of [-1, 0, 1]"),
        ({"o3_mu": [0]}, "o3_mu of [0]"),
        ({"o3_mu": [0, 1, 2]}, "o3_mu of [0, 1, 2]"),
        ({"o3_mu": [1, 0, -1]}, "o3_mu of [1, 0, -1]"),
        ({"k": [0, 1], "o3_mu": [-2, -1, 0, 1, 2]}, "k of [0, 1] and o3_mu of [-2, -1, 0, 1, 2]"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_other_components_are_refused(refused, labels, components, got):
    axes = [labels(name, [[entry] for entry in entries]) for name, entries in components.items()]
    values = torch.zeros(2, *map(len, components.values()), 1)
    block = TensorBlock(values, Labels.range("system", 2), axes, Labels.range("feature", 1))
    message = (
        f"the block (o3_lambda=1, o3_sigma=-1) must have a component o3_mu of [-1, 0, 1], got {got}; "
        "label its 2 o3_lambda + 1 entries from -o3_lambda to o3_lambda"
    )
    with refused(ValueError, message):
        GENERAL[0](TensorMap(labels("o3_lambda o3_sigma", [[1, -1]]), [block]))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool])
def test_values_that_are_no_floating_numbers_are_refused(refused, dtype):
    x = field(keys=[(1, 1)], gradients=False, dtype=dtype)
    message = (
        f"a rotation is of values of a floating or complex dtype, got {dtype} in the block "
        "(o3_lambda=1, o3_sigma=1); convert them with .to(torch.float64)"
    )
    with refused(ValueError, message):
        IDENTITY(x)


def test_the_first_sentences_are_mathematics():
    for thing in (Rotation, Rotation.matrix, Rotation.wigner, Rotation.__call__):
        assert re.search("[Dσ±].*[λR]|±", thing.__doc__.split(". ")[0])
        assert "Source:" in thing.__doc__
