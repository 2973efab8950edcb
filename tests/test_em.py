"""The functions of the handout against plain loops and scipy.stats.norm, and what EM guarantees."""

import contextlib
import math

import numpy as np
import pytest
from conftest import assert_same_fit, textbook, trace
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

PARAMETERS = [0.2, 0.3, 0.5], [-1.0, 2.0, 7.5], [0.5, 2.0, 1.5]  # weights, means, varis
SAMPLE = np.random.RandomState(0).normal([0, 4, 9], [1, 0.5, 2], (20, 3)).ravel()


def test_initialize_spreads_the_means_as_the_handout_does(em):
    small = np.array([-128, 127], "i1")  # whose range does not fit its own type
    for data, k, means in ([3, 10, 0], 4, [2.5, 5, 7.5, 10]), (small, 2, [-0.5, 127]):
        weights, found, varis = em.initialize(data, k)
        np.testing.assert_allclose(found, means, rtol=1e-15)
        assert (list(weights), list(varis)) == ([1 / k] * k, [1] * k)


def test_expectation_is_bayes_rule(em):
    gammas = em.expectation(SAMPLE, *PARAMETERS)
    assert gammas.shape == (3, len(SAMPLE))
    for j, x in enumerate(SAMPLE):
        terms = [w * norm.pdf(x, m, v**0.5) for w, m, v in zip(*PARAMETERS)]
        np.testing.assert_allclose(gammas[:, j], np.array(terms) / sum(terms), rtol=1e-12)


# Far from 0 the shift of `train` is not there to help, and E[x²] - µ² would have no digit left.
@pytest.mark.parametrize("offset, rtol", [(0, 1e-12), (1e9, 1e-9)])
def test_maximization_takes_weighted_moments_around_the_new_means(em, offset, rtol):
    sample, gammas = SAMPLE + offset, np.random.RandomState(2).dirichlet([1, 2, 3], len(SAMPLE)).T
    weights, means, varis = em.maximization(sample, gammas)
    for i in range(3):
        total = sum(gammas[i])
        mean = sum(g * x for g, x in zip(gammas[i], sample)) / total
        vari = sum(g * (x - mean) ** 2 for g, x in zip(gammas[i], sample)) / total
        wanted = [total / len(sample), mean, vari]
        np.testing.assert_allclose([weights[i], means[i], varis[i]], wanted, rtol=rtol)
    for nothing in (0.0, 1e-300):  # a row too small to have digits
        weights, means, varis = em.maximization([2.0, 4.0], [[1, 1], [nothing, nothing]])
        assert (list(weights), means[0], varis[0]) == ([1, 0], 3, 1)


def test_log_likelihood_is_the_sum_of_the_logs(em):
    density = sum(w * norm.pdf(SAMPLE, m, v**0.5) for w, m, v in zip(*PARAMETERS))
    ll = em.log_likelihood(SAMPLE, *PARAMETERS)
    assert isinstance(ll, float)
    assert ll == pytest.approx(sum(np.log(density)), rel=1e-13)


# At k = 6 and a smaller tol a component collapses.
CASES = [(k, tol) for k in range(1, 7) for tol in (1e9, 1, 1e-2, 1e-6) if k < 6 or tol > 1e-3]


@pytest.mark.parametrize("k, tol", CASES)
def test_train_is_the_loop_of_the_textbook(em, data, k, tol):
    found, wanted = trace(em, data, k, tol), textbook(data, k, tol)
    assert_same_fit(found, wanted, rtol=1e-6 if tol < 1e-3 else 1e-9)


@pytest.mark.parametrize(
    "lls, iterations",
    [([9, -20, -10, -9, -8.5, 0], 4), ([9, -10, -10.001, 0], 2), ([9, 8, 10, 12, 12, 99], 4)],
)
def test_a_rise_of_less_than_tol_ends_a_run_and_so_does_a_fall(em, monkeypatch, lls, iterations):
    left, reports = iter(lls), []
    monkeypatch.setattr(em, "em_step", lambda data, *parameters: (next(left), *parameters))
    assert em.train(SAMPLE, 2, 1.0, report=lambda *report: reports.append(report))[3] == lls[-2]
    assert len(reports) == iterations


def test_train_runs_on_the_functions_a_grader_calls(em, data, monkeypatch):
    for name in ("initialize", "expectation", "maximization"):
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(em, name, lambda *_, **__: 1 / 0)
            em.train(data, 3, 1)


# Restarts


def test_of_all_the_starts_the_one_with_the_highest_ll_wins(em, data):
    lls = {}
    report = lambda name, *step: lls.update({name: step[-1]})  # noqa: E731
    fit, name, _ = em.best_of(data, 4, 1e-6, 9, 0, report)
    assert list(lls) == ["handout", *(f"random {i} of 9" for i in range(1, 10))]
    assert fit[3] == lls[name] == max(lls.values()) > lls["handout"] + 50
    assert em.best_of(data, 1, 1, 3, 0, report)[1] == "handout", "of the same fits it is the first"


def test_random_starts_are_what_the_contract_says(em, data):
    (first, none), *random = em.starts(data, 5, 4, 0)
    assert (first, none) == ("handout", None)
    for i, (name, (weights, means, varis)) in enumerate(random, 1):
        assert name == f"random {i} of 4"
        np.testing.assert_array_equal(weights, [0.2] * 5)
        assert np.isin(means, data).all() and (np.diff(means) > 0).all()
        np.testing.assert_allclose(varis, [np.var(data)] * 5, rtol=1e-12)
    assert len({tuple(means) for _, (_, means, _) in random}) == 4
    assert tuple(random[0][1][1]) != tuple(list(em.starts(data, 5, 1, 1))[1][1][1]), "of any seed"
    tied = np.array([1.0] * 2000 + [2.0, 3.0])  # where most draws are the same value
    for _, (_, means, _) in list(em.starts(tied, 3, 20, 0))[1:]:
        np.testing.assert_array_equal(means, [1, 2, 3])
    assert next(em.starts(data, 5, 10**9, 0))[0] == "handout"  # none is made before its turn


# What holds of any data

numbers = st.lists(st.integers(-3000, 3000), min_size=8, max_size=40, unique=True)
datasets = numbers.map(lambda values: np.array(values) / 100)
scales, offsets = st.sampled_from([1e-9, 0.01, 1.0, 7.0, 1e12]), st.integers(-99, 99)
examples = settings(max_examples=40, deadline=None, derandomize=True)


@examples
@given(datasets, scales, offsets, st.integers(0, 99))
def test_order_and_units_change_the_fit_by_just_that(em, data, scale, offset, seed):
    def fit_in(unit, zero, data):
        with contextlib.suppress(em.Collapse):
            start = weights, unit * means + zero, unit**2 * varis
            fit = em.train(unit * data + zero, 2, 1, start)
            ll = fit[3] + len(data) * math.log(unit)
            return [*fit[0], *(fit[1] - zero) / unit, *fit[2] / unit**2, ll]

    weights, means, varis = em.initialize(data, 2)
    shuffled = np.random.RandomState(seed).permutation(data)
    fit, moved = fit_in(1, 0, data), fit_in(scale, offset * scale, shuffled)
    assert (fit is None) == (moved is None)
    np.testing.assert_allclose(moved or [], fit or [], rtol=1e-6, atol=1e-6)
