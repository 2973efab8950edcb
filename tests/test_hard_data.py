"""Data on which textbook EM breaks down: a right fit, or a ValueError that says why."""

import contextlib
import math
import re

import numpy as np
import pytest
from conftest import assert_same_fit, textbook, trace
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("error")
EPS = np.finfo(float).eps

# Velocities of 82 galaxies in km/s: Postman, Huchra and Geller, Astronomical Journal 92
# (1986); Roeder, Journal of the American Statistical Association 85 (1990). The 78th is
# not 26690, as in R's MASS.
VELOCITIES = """
    9172 9350 9483 9558 9775 10227 10406 16084 16170 18419 18552 18600 18927 19052 19070
    19330 19343 19349 19440 19473 19529 19541 19547 19663 19846 19856 19863 19914 19918
    19973 19989 20166 20175 20179 20196 20215 20221 20415 20629 20795 20821 20846 20875
    20986 21137 21492 21701 21814 21921 21960 22185 22209 22242 22249 22314 22374 22495
    22746 22747 22888 22914 23206 23241 23263 23484 23538 23542 23666 23706 23711 24129
    24285 24289 24366 24717 24990 25633 26960 26995 32065 32789 34279
"""
GALAXIES = np.array(VELOCITIES.split(), float)


def groups(*parts):
    """Return (size, mean, sd) groups of normal numbers, always the same ones."""
    rng = np.random.RandomState(0)
    return np.concatenate([rng.normal(mean, sd, size) for size, mean, sd in parts])


PLAIN = groups((150, 2, 0.6), (100, 6, 0.8), (50, 14, 1.2))
EPOCH = 1.7e9 + groups((300, 0, 1), (300, 6, 1))  # seconds
UNITS = [1e-9, 1e-6, 1e-3, 1 / 3, 1.0, 1e3, 1e6, 1e9, 1e12]
HARD = {
    **{f"a unit of {unit}": (PLAIN * unit, 2, 1e-6) for unit in UNITS},
    # In km/s no galaxy but the last is within 38 standard deviations of a first mean,
    # and exp(-38²/2) is the least that a normal double holds.
    **{f"{k} components of galaxies": (GALAXIES, k, 1e-3) for k in (1, 3, 4, 5)},
    "epoch seconds": (EPOCH, 2, 1e-6),
    "negative epoch seconds": (-EPOCH, 2, 1e-6),
    "an outlier a million sds away": (groups((200, 0, 1), (20, 1e6, 1)), 2, 1e-6),
    "far groups, components between them": (groups((60, 0, 1), (60, 1e4, 1)), 5, 1e-6),
    "two points": (np.array([0.25, 1.75]), 1, 1e-6),
    "twelve components for fifteen points": (groups((15, 0, 3)), 12, 1.0),
    "a mask that hides nothing": (np.ma.array(PLAIN), 2, 1e-6),
    "mostly ties": (np.repeat([1.0, 2, 3, 5, 7, 8], [40, 3, 30, 4, 50, 9]), 2, 1e-3),
}


@pytest.mark.skipif(np.finfo("g").eps > 1e-18, reason="long double is a double here")
@pytest.mark.parametrize("name", HARD)
def test_agrees_with_long_double(em, name):
    assert_same_fit(trace(em, *HARD[name]), textbook(*HARD[name]))


def test_the_published_fit_of_the_galaxies_comes_out(em):
    """McLachlan and Peel (2000): for three components, in 1000 km/s, ll = -203.4820."""
    assert em.train(GALAXIES / 1000, 3, 1e-8)[3] == pytest.approx(-203.4820, abs=5e-5)


NO_MIXTURES = [  # weights, means and varis of a start
    *(([weight, 0.5], [1, 2], [1, 1]) for weight in (0.6, 0.4)),
    *(([0.5, 0.5], [1, mean], [1, 1]) for mean in (math.nan, -9e75)),
    *(([0.5, 0.5], [1, 2], [1, vari]) for vari in (0, -1, 1e-151, 1e151, math.inf)),
    ([1.5, -0.5], [1, 2], [1, 1]),
    ([1.0], [1], [1]),
    ([0.5, 0.5], [-1e308, 1e308], [1, 1]),
]
REFUSED = [
    ("expected 100000000000 distinct values, found 3", [1, 2, 2, 3], {"k": 10**11}),
    ("expected 2 distinct values, found 1: a constant", [0.0, -0.0] * 20_000, {"k": 1}),
    ("expected 2001 distinct values, found 2000", np.arange(2000), {"k": 2001}),
    ("(0,)", [], {"k": 1}),
    ("expected no masked values", np.ma.masked_greater(PLAIN, 9), {}),
    ("expected 1-D real numbers, found float64 (1, 2)", [[1.0, 2.0]], {"k": 1}),
    ("finite numbers, found nan at index 1", [1.0, math.nan, 2.0], {"k": 1}),
    ("found -inf at index 100000", [0.0] * 100_000 + [-math.inf], {"k": 1}),
    ("not 1e-60 to 1e+75: rescale", [0.0, 1e-61], {"k": 1}),
    ("not 1e-60 to 1e+75: rescale", [-1e308, 1e308] * 20_000, {}),
    *(("k ≥ 1", PLAIN, {"k": k}) for k in (0, -1, 1.5, math.nan, math.inf, "2")),
    *(("a finite tol > 0", PLAIN, {"tol": t}) for t in (0, -1, math.nan, math.inf)),
    *(("min_sd", PLAIN, {"min_sd": sd}) for sd in (-1, math.nan, math.inf, 1e76)),
    *(("a mixture of 2 components", PLAIN, {"start": bad}) for bad in NO_MIXTURES),
    ("not enough values to unpack", PLAIN, {"start": [[0.5, 0.5], [0.5, 0.5]]}),
]


@pytest.mark.parametrize("message, data, wrong", REFUSED)
def test_what_cannot_be_fitted_is_said_before_EM_starts(em, message, data, wrong):
    arguments = {"k": 2, "tol": 1, "report": lambda *_: pytest.fail("EM started")}
    with pytest.raises(ValueError, match=re.escape(message)):
        em.train(data, **arguments | wrong)


@pytest.mark.parametrize("weight", [0.5, 0])
def test_a_start_far_beyond_the_data_gives_a_fit(em, monkeypatch, weight):
    monkeypatch.setattr(em, "BLOCK", 64)
    monkeypatch.setattr(em, "MANY", 64)
    start = [1 - weight, weight], [4, 9e74], [1, 2e-150]
    weights, means, varis, ll = em.train(PLAIN, 2, 1, start)
    assert (list(weights), means[1], varis[1]) == ([1, 0], 9e74, 2e-150)
    assert ll == pytest.approx(em.train(PLAIN, 1, 1)[3])


def test_a_collapse_comes_in_the_same_iteration_in_any_unit(em):
    data, found = np.append(groups((50, 0, 1)), [3.3] * 3), set()
    message = r"component 2 .* in iteration \d+ \(3 of the 53 values\)"
    for unit in UNITS:
        start = [0.9, 0.1], [0, 3.3 * unit], [unit**2, 0.01 * unit**2]
        with pytest.raises(em.Collapse, match=message) as error:
            em.train(data * unit, 2, 1e-6, start)
        found.add(error.value.iteration)
    assert len(found) == 1


def test_of_several_collapses_the_first_component_is_named(em):
    data = [*np.linspace(-50, 50, 40), *[1] * 5, *[6] * 7]
    start = [0.2, 0.4, 0.4], [6, 0, 1], [1e-4, 900, 1e-4]
    with pytest.raises(em.Collapse, match=r"component 1 .* value 6 .* \(7 of the 52"):
        em.train(data, 3, 1e-6, start)


def test_a_larger_tol_is_advised_where_EM_could_have_stopped_before(em):
    for iteration, sd in enumerate((0.5, 1, 2), 1):
        start = [0.5, 0.5], [2, 10 - sd], [4, sd**2]
        with pytest.raises(em.Collapse, match=f"in iteration {iteration} ") as error:
            em.train([0, 1, 2, 3, 10], 2, 1e-9, start)
        assert ("a larger tol" in str(error.value)) == (iteration > 2)


@pytest.mark.parametrize("value", ["0", "7.7", "1700000000.25", "-1e+15"])
def test_a_collapse_is_seen_at_any_offset_and_names_its_value(em, value):
    start = [0.5, 0.5], [float(value)] * 2, [100, 0.01]
    share = r"in iteration 2 \(5002 of the 5042 values\), .* --restarts 100 or a floor"
    message = f"component 2 collapsed onto the value {re.escape(value)} {share}"
    for spread in (0, 1e-155):
        close = spread * np.resize([-1, 0, 1], 5001)
        data = float(value) + np.append(np.arange(-20.0, 21.0), close)
        with pytest.raises(em.Collapse, match=message):
            em.train(data, 2, 1e-6, start)


@pytest.mark.parametrize("n", [4095, 5123, 60_000])
def test_a_component_on_zeros_has_collapsed_however_the_step_was_made(em, n):
    i, rng = np.arange(n), np.random.default_rng(0)
    counts = np.where(rng.random(n) < 0.3, 0, rng.poisson(9, n))
    for data in np.where(i % 2 == 0, 0, 5 + i % 7), counts:
        zeros = np.count_nonzero(data == 0)
        message = rf"onto the value 0 in iteration \d+ \({zeros} of the {n} values\)"
        with pytest.raises(em.Collapse, match=message):
            em.train(data, 2, 1, ([0.5, 0.5], [0, 9], [1, 9]))


def test_a_component_with_hardly_any_points_gets_the_same_fit_in_any_unit(em):
    data, wanted = groups((100, 0, 1)), None
    for unit in (1, 2.0**-66, 2.0**-99):  # here it has some 1e-250 points
        start = [0.5, 0.5], [0, 36 * unit], [unit**2, unit**2]
        weights, means, varis, _ = em.train(data * unit, 2, 1e-6, start)
        wanted = wanted or [*weights, *means, *varis]
        found = [*weights, *means / unit, *varis / unit**2]
        assert 0 < weights[1] < 1e-200 and found == pytest.approx(wanted, rel=1e-9)


def test_a_component_narrow_but_honest_is_not_refused(em):
    """Its sd is 1e-13 of the range, a thousand times what the values can resolve."""
    data = np.append(0.5 + 1e-13 * groups((200, 0, 1)), np.linspace(-0.5, 0.5, 200))
    varis = em.train(data, 2, 1e-6, ([0.5, 0.5], [0.5, 0], [1e-26, 0.1]))[2]
    assert math.sqrt(varis[0]) == pytest.approx(1e-13, rel=0.2)


small, extremes = st.floats(-10, 10), st.floats(-1e308, 1e308)
scales = st.builds(lambda m, e: m * 10.0**e, small, st.integers(-12, 12))
TIES = 0.0, -0.0, 1.0, -1.0, 1 + EPS, 3.3, 1e6, 1e-6, 5e-324, 1e154, -1e-154
ties = st.sampled_from(TIES)
values = st.sampled_from([small, scales, scales | ties, ties, extremes])
lists = values.flatmap(lambda value: st.lists(value, min_size=1, max_size=40))
units = st.sampled_from([1.0, 1.0, 1e-9, 1e12, 1e-95, 1e95])
offsets = st.sampled_from([0.0, 0.0, 1.0, -1e5, 1.7e9, 1e15, -1e300, 1e-300])
tols = st.sampled_from([1.0, 1e-3, 1e-6, 1e-12, 1e-300, 5e-324])
no_clock = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@settings(derandomize=True, max_examples=400, **no_clock)
@example([1.0, 1 + EPS, 1 + 2 * EPS], 1.0, 0.0, 1, 2, 1e-300)
@given(lists, units, offsets, st.integers(1, 3), st.integers(1, 6), tols)
def test_hostile_data_gets_a_fit_or_an_error(em, data, unit, offset, times, k, tol):
    with np.errstate(over="ignore"):
        data = np.clip(np.repeat(data, times) * unit + offset, -1e308, 1e308)
    with contextlib.suppress(ValueError):
        weights, means, varis, ll = em.train(data, k, tol)
        assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
        slack = 1e-12 * np.abs(data).max()  # a mean is a rounded average
        assert min(data) - slack <= min(means) <= max(means) <= max(data) + slack
        assert np.isfinite(varis).all() and (varis > 0).all() and math.isfinite(ll)
