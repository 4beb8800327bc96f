"""Rotations and the inversion of space, as they act on spherical TensorMaps."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import torch

from .block import TensorBlock
from .labels import Labels, LabelsEntry
from .printing import PrintedAsSource
from .tensor_map import TensorMap

Quaternion = tuple[float, float, float, float]

#: How the dimensions of spherical tensors are called: λ and σ among the keys, μ among the components.
O3_NAMES = ("o3_lambda", "o3_sigma", "o3_mu")


@dataclass(frozen=True, repr=False)
class Rotation(PrintedAsSource):
    """y = σ (-1)^λ D^λ(R) x with the inversion and y = D^λ(R) x without it: an element of O(3), the
    rotation R of a quaternion followed by the inversion of space or not, acting on blocks of
    ``o3_lambda`` λ and ``o3_sigma`` σ.

    ``quaternion`` is a tuple (w, x, y, z) of ints or floats: w = cos(θ/2) and (x, y, z) = sin(θ/2) times
    the axis of the rotation by θ, all of them times any number but 0. Thus q and -q are the same
    rotation, though they don't compare equal.

    D^λ is defined by Y_λ(R r) = D^λ(R) Y_λ(r), where Y_λ are the real spherical harmonics in the order
    μ = -λ, ..., λ without the Condon-Shortley phase; those of λ = 1 are (y, z, x).

    ``names`` are those of the dimensions of λ, σ and μ, by default :data:`O3_NAMES`.

    Raises ValueError for a quaternion that isn't four finite numbers, one at least other than 0.

    Source: E. P. Wigner, "Gruppentheorie" (1931), chapter XV, for D of complex spherical harmonics as a
    polynomial in the Cayley-Klein parameters; the same in Varshalovich, Moskalev and Khersonskii,
    "Quantum Theory of Angular Momentum" (1988), section 4.3. The factor of the inversion is the
    definition of ``o3_sigma`` in metatensor: 1 for tensors proper, -1 for pseudotensors.

    >>> Rotation((1, 0, 0, 1)).matrix()  # by 90° about z: x to y, y to -x
    tensor([[ 0., -1.,  0.],
            [ 1.,  0.,  0.],
            [ 0.,  0.,  1.]], dtype=torch.float64)
    """

    quaternion: Quaternion = (1, 0, 0, 0)
    inversion: bool = False
    names: tuple[str, str, str] = O3_NAMES

    def __post_init__(self) -> None:
        q: object = self.quaternion
        if (
            not (isinstance(q, tuple) and len(q) == 4)
            or not all(isinstance(v, (int, float)) and abs(v) < math.inf for v in q)
            or not any(q)
        ):
            raise ValueError(
                "quaternion must be a tuple (w, x, y, z) of four finite numbers, not all of them 0, "
                f"got {q!r}; (1, 0, 0, 0) is the identity"
            )

    def matrix(self) -> torch.Tensor:
        """±(1 + 2w [v]ₓ + 2 [v]ₓ²) for w, v = (x, y, z) of norm 1, where [v]ₓ r = v × r and the sign is
        negative with the inversion: what multiplies column vectors (x, y, z).

        Shape ``(3, 3)``, float64, on the CPU.

        Source: the formula of Euler and Rodrigues.
        """
        w, x, y, z = _scaled(self.quaternion)
        norm = w * w + x * x + y * y + z * z
        rows = [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
        sign = -1 if self.inversion else 1
        return sign * torch.tensor(rows, dtype=torch.float64, device="cpu") / norm

    def wigner(self, o3_lambda: int) -> torch.Tensor:
        """D^λ(R) with Y_λ(R r) = D^λ(R) Y_λ(r) for real spherical harmonics, R being the rotation
        without the inversion.

        Shape ``(2λ+1, 2λ+1)``, float64, on the CPU, rows and columns in the order μ = -λ, ..., λ. No
        λ is too large for its accuracy, which is that of float64.

        Raises ValueError for a negative ``o3_lambda``.

        Source: that of :class:`Rotation`.
        """
        if o3_lambda < 0:
            raise ValueError(
                f"o3_lambda must be at least 0, got {o3_lambda}; "
                "it is the degree of the spherical harmonics that a block transforms as"
            )
        # The cache has tuples, not tensors, which somebody could change, or make in inference mode.
        rows = _wigner(self.quaternion, o3_lambda)
        return torch.tensor(rows, dtype=torch.float64, device="cpu")

    def __call__(self, tensor: TensorMap) -> TensorMap:
        """y_μ = s Σ_ν D^λ(R)_μν x_ν along the axis ``o3_mu`` of every block, where s is σ (-1)^λ with
        the inversion and 1 without: a new map with the same labels. σ is the key's ``o3_sigma``, or 1
        where keys have none.

        Values have the shape ``(samples, *components, properties)`` with ``o3_mu`` anywhere among the
        components, and floating or complex dtypes. So have the values of explicit gradients, which are
        transformed along ``o3_mu`` as well. All other axes stay as they are: the axis ``xyz`` of a
        gradient with respect to positions remains in the frame of reference from before.

        D is converted to the values' dtype and device, where the product is computed; autograd
        differentiates through it. The identity gives the values bit for bit. Other elements of O(3)
        make NaN of what is not finite.

        Raises ValueError where keys have no ``o3_lambda`` or a negative one, a block has no component
        ``o3_mu`` of the entries -λ to λ, or values of another dtype.

        Source: that of :class:`Rotation`.
        """
        names = tensor.keys.names
        of_lambda, *_ = self.names
        if of_lambda not in names:
            raise ValueError(
                f"the keys of a spherical TensorMap must have the dimension {of_lambda!r}, got {names}; "
                "add it, with 0 where a block is invariant"
            )
        blocks = []
        for key, block in tensor.items():
            blocks.append(_transformed(block, self._matrix_of(key), key, self.names))
        rotated = TensorMap(tensor.keys, blocks)
        rotated._info = tensor._info
        return rotated

    def _matrix_of(self, key: LabelsEntry) -> torch.Tensor:
        """What the components μ of the block of a key are multiplied by."""
        of_lambda, of_sigma, _ = self.names
        matrix = self.wigner(key[of_lambda])
        if self.inversion:
            matrix *= (key[of_sigma] if of_sigma in key.names else 1) * (-1) ** key[of_lambda]
        return matrix


def _transformed(
    block: TensorBlock, matrix: torch.Tensor, key: LabelsEntry, names: tuple[str, str, str]
) -> TensorBlock:
    """The block with its axis μ multiplied by the matrix, that of its gradients, too."""
    o3_lambda, components = len(matrix) // 2, block.components
    mu = torch.arange(-o3_lambda, o3_lambda + 1, dtype=torch.int32, device="cpu").reshape(-1, 1)
    expected = Labels(names[2], mu)
    if expected not in components:
        got = [f"{c.names[0]} of {c.column(c.names[0]).tolist()}" for c in components]
        raise ValueError(
            f"the block {key.print()} must have a component {names[2]} of {mu.flatten().tolist()}, "
            f"got {' and '.join(got) or 'no components'}; label its 2 {names[0]} + 1 entries from "
            f"-{names[0]} to {names[0]}"
        )
    if not (block.dtype.is_floating_point or block.dtype.is_complex):
        raise ValueError(
            "a rotation is of values of a floating or complex dtype, got "
            f"{block.dtype} in the block {key.print()}; convert them with .to(torch.float64)"
        )
    # Counted from the end it is the same axis in the gradients: more components come before the block's.
    axis = components.index(expected) - len(components) - 1
    identity = torch.equal(matrix, torch.eye(len(matrix), dtype=matrix.dtype, device="cpu"))
    factor = matrix.to(dtype=block.dtype, device=block.device)

    def product(values: torch.Tensor) -> torch.Tensor:
        if identity:  # a sum of products would make 0 of -0, and NaN beside what is not finite
            return values.clone()
        return (factor @ values.flatten(axis + 1)).reshape(values.shape)

    return block._map_values(product)


def _scaled(quaternion: Quaternion) -> Quaternion:
    """The same rotation with 1 for the largest number, so that nothing overflows."""
    largest = max(map(abs, quaternion))
    w, x, y, z = (v / largest for v in quaternion)
    return w, x, y, z


@functools.lru_cache(maxsize=1024)
def _wigner(quaternion: Quaternion, ell: int) -> tuple[tuple[float, ...], ...]:
    """The rows of D^ℓ for real spherical harmonics."""
    # The rotation takes the spinors u and v to a* u - b v and b* u + a v (for |a|² + |b|² = 1), and so
    # the monomials f_m = u^(ℓ+m) v^(ℓ-m) / √((ℓ+m)! (ℓ-m)!) to sums of such: f_n to Σ_m C*_mn f_m.
    # Expanded, that is a polynomial C in a, b, a* and b*, and complex spherical harmonics have
    # Y_m(R r) = Σ_n C_mn Y_n(r).
    w, x, y, z = _scaled(quaternion)
    a, b = complex(w, z), complex(-y, x)
    # In one entry of C all terms have the same phase, and what is left to sum is rational:
    # |a|² = part / whole. Integers sum it without an error, while floats would lose all digits for a
    # large ℓ, where large terms of both signs cancel.
    aa, bb = Fraction(w) ** 2 + Fraction(z) ** 2, Fraction(x) ** 2 + Fraction(y) ** 2
    part, whole = (aa / (aa + bb)).as_integer_ratio()
    norm = float(aa + bb)
    factorial = math.factorial

    @functools.cache
    def of_complex(m: int, n: int) -> complex:
        low, high = max(0, m + n), ell + min(m, n)
        total = sum(
            math.comb(ell + n, k)
            * math.comb(ell - n, ell + m - k)
            * part ** (k - low)
            * (part - whole) ** (high - k)
            for k in range(low, high + 1)
        )
        squared = Fraction(
            factorial(ell + m) * factorial(ell - m), factorial(ell + n) * factorial(ell - n)
        )
        of_a = (a if m + n >= 0 else a.conjugate()) ** abs(m + n)
        of_b = (b if m >= n else -b.conjugate()) ** abs(m - n)
        # |m+n| + |m-n| is even: without a root of the norm, right angles come out exact.
        phase = of_a * of_b / norm ** max(abs(m), abs(n))
        ratio: float = total / whole ** (high - low)
        return math.sqrt(squared) * ratio * phase

    def of_real(mu: int, nu: int) -> float:
        # With m = |μ|: Y_m and Y_-m are (-1)^m √2 times the real and the imaginary part of the complex
        # one of m, whose conjugate is (-1)^m times the one of -m. Y_0 has no √2.
        m, n = abs(mu), abs(nu)
        plus, minus = (-1.0) ** (m + n) * of_complex(m, n), (-1.0) ** m * of_complex(m, -n)
        both = plus + minus if nu >= 0 else 1j * (plus - minus)
        return (both.real if mu >= 0 else both.imag) * math.sqrt((1 if m else 0.5) * (1 if n else 0.5))

    orders = range(-ell, ell + 1)
    return tuple(tuple(of_real(mu, nu) for nu in orders) for mu in orders)
