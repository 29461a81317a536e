"""BG/NBD against quadrature of the model itself and against customers drawn from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import roots_genlaguerre, roots_jacobi

from recs_assets.lifetime.orders import OrderModel, fit_orders, log_likelihood

# The estimates that Fader, Hardie and Lee publish for their example, in weeks.
PUBLISHED = OrderModel(0.243, 4.414, 0.793, 2.426, first_drop=False)


def test_published_customer():
    """The note "Implementing the BG/NBD Model in Microsoft Excel" expects 1.226 orders in 39 weeks of the customer with
    two repeat orders, the last after 30.43 of 38.86 weeks."""
    orders, alive = PUBLISHED.predict(np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert orders[0] == pytest.approx(1.226, abs=0.0005)
    assert alive[0] == pytest.approx(0.726, abs=0.001)


@pytest.mark.parametrize("first_drop", [False, True])
@pytest.mark.parametrize(("repeats", "recency", "age"), [(0, 0.0, 20.0), (1, 5.0, 20.0), (6, 18.0, 20.0)])
def test_closed_forms_equal_quadrature(first_drop, repeats, recency, age):
    """Over rates and chances of leaving: the density of the orders, of being there still, and what is then expected."""
    model = OrderModel(1.3, 6.0, 1.7, 4.0, first_drop)
    survived = repeats + first_drop
    # Gauss's rules for the densities of rates (gamma) and of chances of leaving (beta), which they hold as weights.
    rate, of_rate = roots_genlaguerre(120, 1.3 - 1)
    leave, of_leave = roots_jacobi(60, 4.0 - 1, 1.7 - 1)
    rate, leave = (rate / 6.0)[:, None], (leave / 2 + 0.5)[None, :]
    weight = (of_rate / of_rate.sum())[:, None] * (of_leave / of_leave.sum())

    def integrate(weigh) -> float:
        there = (1 - leave) ** survived * np.exp(-rate * age)
        left = leave * (1 - leave) ** (survived - 1) * np.exp(-rate * recency) if survived else 0.0
        return float((weight * rate**repeats * weigh(there, left)).sum())

    likelihood = integrate(lambda there, left: there + left)
    alive = integrate(lambda there, left: there) / likelihood
    expected = integrate(lambda there, left: there * -np.expm1(-rate * leave * 13.0) / leave) / likelihood
    customer = np.array([repeats], dtype=float), np.array([recency]), np.array([age])
    orders, probability = model.predict(*customer, 13.0)
    assert np.exp(log_likelihood(model, *customer)) == pytest.approx(likelihood, rel=1e-6)
    assert probability[0] == pytest.approx(alive, rel=1e-6)
    assert orders[0] == pytest.approx(expected, rel=1e-6)


def draw(model: OrderModel, customers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers as the model says, each watched for up to 300 days: repeats, recency, age."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(model.shape, 1 / model.scale, customers)
    leave = rng.beta(model.leave, model.stay, customers)
    age = rng.integers(100, 300, customers).astype(float)
    repeats, recency = np.zeros(customers), np.zeros(customers)
    there = rng.random(customers) >= leave if model.first_drop else np.ones(customers, dtype=bool)
    day = np.zeros(customers)
    while there.any():
        day = day + rng.exponential(1 / rate)
        there &= day < age
        repeats += there
        recency = np.where(there, day, recency)
        there &= rng.random(customers) >= leave
    return repeats, recency, age


@pytest.mark.parametrize("first_drop", [False, True])
def test_parameters_of_drawn_customers_are_found(first_drop):
    truth = OrderModel(0.9, 25.0, 1.2, 3.5, first_drop)
    customers = draw(truth, 20_000, seed=3)
    found = fit_orders(*customers, first_drop)
    assert found.shape == pytest.approx(0.9, rel=0.08)
    assert found.scale == pytest.approx(25.0, rel=0.08)
    assert found.leave / (found.leave + found.stay) == pytest.approx(1.2 / 4.7, rel=0.05)
    assert log_likelihood(found, *customers).sum() >= log_likelihood(truth, *customers).sum()


def test_order_of_customers_changes_nothing():
    customers = draw(OrderModel(0.9, 25.0, 1.2, 3.5), 300, seed=1)
    shuffled = np.random.default_rng(0).permutation(300)
    assert fit_orders(*customers) == fit_orders(*(values[shuffled] for values in customers))


def test_who_never_came_back_is_a_customer_for_ever_unless_they_can_leave_at_once():
    once = np.array([0.0]), np.array([0.0]), np.array([3000.0])
    assert OrderModel(1.0, 30.0, 1.0, 4.0, first_drop=False).predict(*once, 91.0)[1] == [1.0]
    assert OrderModel(1.0, 30.0, 1.0, 4.0, first_drop=True).predict(*once, 91.0)[1] == pytest.approx(
        [4 / 105]
    )


def test_quadrature_equals_the_closed_form(monkeypatch):
    customers = draw(OrderModel(0.9, 25.0, 1.2, 3.5), 200, seed=1)
    model = OrderModel(0.9, 25.0, 1.2, 3.5)
    closed, _ = model.predict(*customers, 91.0)
    monkeypatch.setattr("recs_assets.lifetime.orders.LARGE_SHAPE", 0.0)
    np.testing.assert_allclose(model.predict(*customers, 91.0)[0], closed, rtol=1e-8)


def test_customers_all_alike_order_as_a_poisson_process():
    """Of one rate, a fifth a day, and one chance of leaving, a tenth at an order: (1 - exp(-days / 50)) * 10."""
    model = OrderModel(150_000.0, 750_000.0, 15_000.0, 135_000.0)
    orders, alive = model.predict(np.array([3.0]), np.array([20.0]), np.array([20.0]), 91.0)
    assert alive[0] == pytest.approx(0.9, rel=1e-3)
    assert orders[0] / alive[0] == pytest.approx(-10 * np.expm1(-91 / 50), rel=1e-3)


positive = st.floats(0.01, 50.0)


@given(
    shape=positive, scale=st.floats(0.5, 500.0), leave=positive, stay=positive, first_drop=st.booleans(),
    repeats=st.integers(0, 400), recency=st.floats(0, 1), age=st.floats(1, 4000), days=st.floats(1, 400),
)  # fmt: skip
def test_expectations_keep_their_bounds(shape, scale, leave, stay, first_drop, repeats, recency, age, days):
    model = OrderModel(shape, scale, leave, stay, first_drop)
    customer = np.array([float(repeats)]), np.array([recency * age if repeats else 0.0]), np.array([age])
    (few,), (alive,) = model.predict(*customer, days)
    (more,), (again,) = model.predict(*customer, days * 2)
    assert 0 <= alive <= 1
    assert alive == again
    # Never more than at the rate of somebody who cannot leave.
    assert -1e-9 <= few <= (shape + repeats) / (scale + age) * days * (1 + 1e-6)
    assert more >= few * (1 - 1e-6)


def test_nobody_ordered_twice():
    with pytest.raises(ValueError, match="Nobody ordered twice"):
        fit_orders(np.zeros(3), np.zeros(3), np.full(3, 9.0))
