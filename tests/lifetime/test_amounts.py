import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from recs_assets.lifetime.amounts import AmountModel, fit_amounts, log_likelihood

# What Fader and Hardie publish for their example.
PUBLISHED = AmountModel(6.25, 3.74, 15.44)


def test_published_expectations():
    """The mean of all is p * gamma / (q - 1) = 35.22; who ordered is drawn to it, the less the more they ordered."""
    assert PUBLISHED.predict(np.array([0.0]), np.array([0.0])) == pytest.approx([35.22], abs=0.005)
    # 6.25 * (15.44 + 2 * 100) / (6.25 * 2 + 2.74) = 88.35
    assert PUBLISHED.predict(np.array([2.0]), np.array([100.0])) == pytest.approx([88.35], abs=0.005)
    assert PUBLISHED.predict(np.array([200.0]), np.array([100.0])) == pytest.approx([99.86], abs=0.005)


def test_density_equals_quadrature():
    """Over the customers' scales, of the mean of three orders."""
    model = AmountModel(2.0, 3.0, 20.0)

    def inside(rate: float) -> float:
        return gamma.pdf(rate, 3.0, scale=1 / 20.0) * gamma.pdf(15.0, 3 * 2.0, scale=1 / (3 * rate))

    density = quad(inside, 0, 5, epsabs=1e-12)[0]
    assert np.exp(log_likelihood(model, np.array([3.0]), np.array([15.0]))) == pytest.approx(
        [density], rel=1e-6
    )


def test_parameters_of_drawn_customers_are_found_in_any_currency():
    rng = np.random.default_rng(5)
    orders = rng.integers(1, 9, 20_000).astype(float)
    mean = rng.gamma(2.0 * orders) / orders / rng.gamma(3.5, 1 / 40.0, 20_000)
    euros, yen = fit_amounts(orders, mean), fit_amounts(orders, mean * 160)
    assert (euros.shape, euros.spread) == pytest.approx((2.0, 3.5), rel=0.05)
    assert euros.scale == pytest.approx(40.0, rel=0.08)
    assert (yen.shape, yen.spread) == pytest.approx((euros.shape, euros.spread), rel=0.01)
    assert yen.scale / 160 == pytest.approx(euros.scale, rel=0.01)


def test_an_amount_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        fit_amounts(np.ones(2), np.array([3.0, 0.0]))
