"""The algebra of rotations: harmonics and couplings compared with integrals over the sphere, and with rotations."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from atomlens.models.so3 import (
    RotationAlgebra,
    clebsch_gordan,
    coupling_coefficients,
    degrees,
    legendre_coefficients,
    orders,
    real_harmonics,
)

L_MAX = 4


def sphere(n=16):
    """Points and weights that integrate polynomials of degree below 2 n exactly."""
    z, weights = np.polynomial.legendre.leggauss(n)
    phi = 2 * math.pi * np.arange(2 * n) / (2 * n)
    rho = np.sqrt(1 - z**2)
    points = np.stack([np.outer(rho, np.cos(phi)), np.outer(rho, np.sin(phi)), np.outer(z, np.ones_like(phi))], axis=-1)
    return torch.from_numpy(points.reshape(-1, 3)), torch.from_numpy(np.repeat(weights, 2 * n) * math.pi / n)


def harmonics(points, l_max=L_MAX):
    return real_harmonics(points, legendre_coefficients(l_max))


def test_harmonics_are_scipys():
    points, _ = sphere(5)
    ours = harmonics(points).numpy()
    theta, phi = np.arccos(points[:, 2].numpy()), np.arctan2(points[:, 1].numpy(), points[:, 0].numpy())
    for s, (ell, m) in enumerate(zip(degrees(L_MAX).tolist(), orders(L_MAX).tolist(), strict=True)):
        complex_one = sph_harm_y(ell, abs(m), theta, phi)
        sign = (-1) ** m * math.sqrt(2)
        theirs = complex_one.real if m == 0 else sign * (complex_one.real if m > 0 else complex_one.imag)
        np.testing.assert_allclose(ours[:, s], theirs, atol=1e-13)


def test_harmonics_are_orthonormal_and_the_first_ones_known():
    points, weights = sphere()
    y = harmonics(points)
    assert torch.allclose(y.T @ (weights[:, None] * y), torch.eye(y.shape[1], dtype=y.dtype), atol=1e-13)
    x = math.sqrt(3 / (4 * math.pi)) * points[:, [1, 2, 0]]
    assert torch.allclose(y[:, 1:4], x, atol=1e-14)


def test_couplings_are_triple_integrals():
    # Gaunt's integral of three harmonics is a coupling times what couples their m = 0 parts.
    points, weights = sphere()
    y = harmonics(points)
    integrals = torch.einsum("n,na,nb,nc->abc", weights, y, y, y)
    ell = degrees(L_MAX).tolist()
    factors = [
        [
            [
                math.sqrt((2 * a + 1) * (2 * b + 1) / (4 * math.pi * (2 * c + 1))) * clebsch_gordan(a, 0, b, 0, c)
                for c in ell
            ]
            for b in ell
        ]
        for a in ell
    ]
    assert torch.allclose(integrals, coupling_coefficients(L_MAX) * torch.tensor(factors).double(), atol=1e-12)


def test_clebsch_gordan_values_of_the_tables():
    assert clebsch_gordan(1, 1, 1, -1, 0) == pytest.approx(math.sqrt(1 / 3))
    assert clebsch_gordan(1, 0, 1, 0, 0) == pytest.approx(-math.sqrt(1 / 3))
    assert clebsch_gordan(1, 1, 1, 0, 1) == pytest.approx(math.sqrt(1 / 2))
    assert clebsch_gordan(2, 1, 1, -1, 2) == pytest.approx(math.sqrt(1 / 2))
    assert clebsch_gordan(2, 2, 1, 1, 2) == 0.0


def rotation_matrices(l_max, rotation):
    """What a rotation does to the components, from the harmonics at enough points before and after."""
    points, _ = sphere()
    turned = points @ torch.from_numpy(rotation.as_matrix()).T
    return torch.linalg.lstsq(harmonics(points, l_max), harmonics(turned, l_max)).solution.T


def test_products_turn_as_their_factors_do():
    algebra, d = RotationAlgebra(3), rotation_matrices(3, Rotation.from_euler("zyz", [0.3, 1.1, -2.0]))
    a, b = torch.randn(2, 5, 16, 3, dtype=torch.float64)
    turned = algebra.product(d @ a, d @ b)
    assert torch.allclose(turned, d @ algebra.product(a, b), atol=1e-12)
    assert torch.allclose(algebra.product(a, b), algebra.product(b, a), atol=1e-13)
    # The unit of the product is the scalar one.
    one = torch.zeros_like(a)
    one[:, 0] = 1.0
    assert torch.allclose(algebra.product(one, b), b, atol=1e-13)


def test_rotors_are_the_product_with_harmonics_degree_by_degree():
    algebra = RotationAlgebra(2)
    y = harmonics(torch.nn.functional.normalize(torch.randn(4, 3, dtype=torch.float64)), 2)
    x = torch.randn(4, 9, 1, dtype=torch.float64)
    rotors = algebra.rotors(y)
    for ell in range(3):
        of_degree = torch.where(degrees(2) == ell, y, 0.0)[..., None]
        assert torch.allclose(rotors[:, :, ell] @ x, algebra.product(of_degree, x), atol=1e-13)


def test_constants_stay_in_double_precision():
    algebra = RotationAlgebra(2).float().half().double()
    assert torch.equal(algebra.coupling, coupling_coefficients(2))
    assert algebra.harmonics(torch.eye(3)).dtype == torch.float32
