import numpy as np
import pytest

from accounting.gaussian import gaussian_epsilon
from accounting.prv import LARGEST_GRID, _domain, prv_bound


@pytest.mark.parametrize("grid_error", [0.05, 0.005, 0.0005])
def test_the_bound_closes_in_from_above(grid_error: float) -> None:
    exact = gaussian_epsilon(0.7, 1e-5)
    bound, error = prv_bound([(1.0, 1 / 0.7, 1)], 1e-5, half_width=8, grid_error=grid_error)
    assert error <= grid_error * (1 + 1e-9)
    assert exact <= bound <= exact * 1.001 + 2 * error


def test_a_grid_that_would_be_too_large_says_so_in_its_error() -> None:
    bound, error = prv_bound([(1.0, 1 / 0.7, 1)], 1e-5, half_width=300, grid_error=1e-7)
    assert error > 1e-7
    assert gaussian_epsilon(0.7, 1e-5) <= bound


def test_the_grid_holds_zero_and_is_even() -> None:
    for half_width, mesh in ((3.3, 1e-3), (10.0, 7.7e-4), (4.0, 4.0 / 1009)):
        domain = _domain(half_width, mesh)
        assert domain.size % 2 == 0 and domain.size < 1.2 * (2 * half_width / mesh + 10) < LARGEST_GRID
        assert np.abs(domain.ts).min() < 1e-9 and domain.t_min <= -half_width + mesh and domain.t_max >= half_width


def test_a_delta_below_the_grids_precision_is_refused() -> None:
    with pytest.raises(ArithmeticError):
        prv_bound([(1.0, 1.0, 1)], 1e-17, half_width=30, grid_error=1e-3)
