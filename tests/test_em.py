"""The functions of gmm-em.py against plain loops, scipy.stats and published fits."""

import ast
import contextlib
import itertools
import math
import os
import re
import sys
from unittest.mock import patch

import numpy as np
import pytest
from conftest import ROOT, bash, fit_of, run, textbook
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

pytestmark = pytest.mark.filterwarnings("error")
PARAMETERS = [0.2, 0.3, 0.5], [-1.0, 2.0, 7.5], [0.5, 2.0, 1.5]  # weights, means, varis
CASES = {*itertools.product(np.arange(1, 7), (1e9, 1, 1e-2, 1e-6))}  # k, tol
CASES -= {(6, 1e-6)}  # this one would collapse
SAMPLE = np.random.RandomState(0).normal([0, 4, 9], [1, 0.5, 2], (20, 3)).ravel()


def train_as_textbook(em, data, k, tol, start=None, min_sd=0.0, rtol=1e-9, **dtype):
    """Check the reports of em.train, and its fit against the textbook's; return it."""
    steps = []
    fit = em.train(data, k, tol, start, min_sd, lambda *step: steps.append(step))
    iterations, changes, *_, lls = zip(*steps)
    assert iterations == tuple(range(1, len(lls) + 1))
    assert changes == (math.inf, *np.diff(lls))
    rounding = 1e-14 * (len(data) + abs(lls[-1]))
    assert min(changes[:-1]) >= tol > changes[-1] >= -rounding
    np.testing.assert_array_equal(np.hstack(fit), np.hstack(steps[-1][2:]))
    *wanted, wanted_lls = textbook(data, k, tol, start, min_sd, **dtype)
    weights, means, varis, ll = (np.asarray(values, float) for values in wanted)
    assert len(lls) == len(wanted_lls)
    np.testing.assert_allclose(fit[0], weights, rtol=rtol, atol=1e-12)
    # A mean is a double, which far from 0 has its last digit at 1e-16 of the offset.
    off = abs(fit[1] - means) - np.spacing(abs(means).max())
    assert (off <= rtol * np.sqrt(varis)).all()
    np.testing.assert_allclose(fit[2], varis, rtol=rtol)
    np.testing.assert_allclose(fit[3], ll, rtol=rtol, atol=1e-9)
    return fit


def test_who_came_for_the_homework_can_stop_reading_before_line_170():
    stop = "# ---- Who came for the homework can stop here. ----\n"
    first, rest = (ROOT / "gmm-em.py").read_text("utf-8").split(stop)
    assert first.count("\n") < 169
    below = {node.name for node in ast.parse(rest).body if hasattr(node, "name")}
    used = {node.id for node in ast.walk(ast.parse(first)) if hasattr(node, "id")}
    assert len(used & below) <= 5
    defined = [node.name for node in ast.parse(first).body if hasattr(node, "name")]
    density = "gammas_and_logs", "expectation", "maximization", "log_likelihood"
    assert defined == ["initialize", *density, "em_step", "train", "main"]


def test_initialize_spreads_the_means_as_the_handout_does(em):
    small = np.array([-128, 127], "i1")  # whose range does not fit its own type
    for data, k, means in ([3, 10, 0], 4, [2.5, 5, 7.5, 10]), (small, 2, [-0.5, 127]):
        weights, found, varis = em.initialize(data, k)
        np.testing.assert_allclose(found, means, rtol=1e-15)
        assert (list(weights), list(varis)) == ([1 / k] * k, [1] * k)


def test_expectation_is_bayes_rule_and_ll_the_sum_of_the_logs(em):
    terms = np.array([w * norm.pdf(SAMPLE, m, v**0.5) for w, m, v in zip(*PARAMETERS)])
    gammas = em.expectation(SAMPLE.tolist(), *PARAMETERS)
    np.testing.assert_allclose(gammas, terms / terms.sum(axis=0), rtol=1e-12)
    ll = em.log_likelihood(SAMPLE.tolist(), *PARAMETERS)
    assert type(ll) is float
    assert ll == pytest.approx(np.log(terms.sum(axis=0)).sum(), rel=1e-13)


# Far from 0 `train` is not there to shift, and E[x²] - µ² would have no digit left.
@pytest.mark.parametrize("offset, rtol", [(0, 1e-12), (1e9, 1e-9)])
def test_maximization_takes_weighted_moments_around_the_new_means(em, offset, rtol):
    data, shares = SAMPLE + offset, np.random.RandomState(2).dirichlet([1, 2, 3], 60)
    for gamma, *found in zip(shares.T, *em.maximization(data, shares.T), strict=True):
        mean = np.average(data, weights=gamma)
        vari = np.average((data - mean) ** 2, weights=gamma)
        np.testing.assert_allclose(found, [gamma.mean(), mean, vari], rtol=rtol)


def test_e_m_e_and_ll_by_hand_give_numbers_where_a_component_has_no_points(em):
    for nothing in (0.0, 1e-291):  # the second is too little to have digits
        weights, means, varis = em.maximization([2, 4], [[1, 1], [nothing, nothing]])
        assert (list(weights), means[0], varis[0]) == ([1, 0], 3, 1)
        assert math.isfinite(means[1]) and varis[1] >= 1e-150
    ends = itertools.product([0.0, 0.5], [-1e75, 0, 1e75], [1e-150, 1, 1e150])
    starts = [([1 - w, w], [2.5, m], [1.0, v]) for w, m, v in ends]
    for data, start in itertools.product(([1, 2, 3, 4], [-1e75, 0, 1e75]), starts):
        gammas = em.expectation(data, *start)
        parameters = em.maximization(data, gammas)
        assert np.isfinite(np.hstack(parameters)).all()
        for table in gammas, em.expectation(data, *parameters):
            np.testing.assert_allclose(table.sum(axis=0), 1, rtol=1e-12)
        assert math.isfinite(em.log_likelihood(data, *parameters))


@pytest.mark.parametrize("k, tol", sorted(CASES))
def test_train_is_the_loop_of_the_textbook(em, data, k, tol):
    train_as_textbook(em, data, k, tol, rtol=1e-6 if tol < 1e-3 else 1e-9)


FLOORS = [  # values that repeat, or lie alone, k, and a floor with which there is a fit
    (np.append(np.zeros(40), SAMPLE[SAMPLE > 1]), 2, 0.05),
    (np.array([2.0, 3, 4, 5, 6, 90]), 2, 0.5),
    (np.repeat(np.arange(1.0, 8), [4, 9, 14, 8, 11, 19, 7]), 3, 0.5),
    (np.array([1.0, 1, 2, 900, 900, 901]), 3, 1.5),  # one component has no points
    (np.resize(np.arange(0, 9, 0.25), 5000), 2, 3.0),
]


@pytest.mark.parametrize("data, k, min_sd", FLOORS)
def test_min_sd_is_a_floor_under_which_ll_never_falls(em, data, k, min_sd):
    spike = np.full(k, 1 / k), np.linspace(min(data), max(data), k), np.full(k, 1e-4)
    for start in (None, spike):
        fit = train_as_textbook(em, data, k, 1e-6, start, min_sd, rtol=1e-7)
        assert min(fit[2]) >= min_sd**2 * (1 - 1e-15)


@pytest.mark.parametrize("lls", [[-20, -10, -9, -8.5, 0], [8, 10, 7, 99]])
def test_a_rise_of_less_than_tol_ends_a_run_and_so_does_a_fall(em, monkeypatch, lls):
    left, reports = iter([9, *lls]), []  # 9 is the ll of the start: no run stops there
    monkeypatch.setattr(em, "em_step", lambda _, *mixture: (next(left), *mixture))
    fit = em.train(SAMPLE, 2, 1.0, report=lambda *report: reports.append(report))
    assert (fit[3], len(reports)) == (lls[-2], len(lls) - 1)


def test_train_runs_on_the_functions_a_grader_calls(em, data):
    for name in ("initialize", "gammas_and_logs", "maximization", "em_step"):
        broken = patch.object(em, name, side_effect=ZeroDivisionError)
        with broken, pytest.raises(ZeroDivisionError):
            em.train(data, 3, 1)


# ---- Restarts ----
def test_of_all_starts_the_one_of_highest_ll_wins_from_either_stage(em, data):
    for tol, k in (1e-6, 4), (1e-6, 2), (1e-2, 5):
        reports = []
        end, ends, latest, _ = em.best_of(data, k, tol, 9, report=reports.append)
        lls = {n: [e.fit[3] for e in reports if e.number == n] for n in range(10)}
        highest = max(lls[other.number][-1] for other in ends)
        assert end.fit[3] == pytest.approx(highest, abs=1e-6)
        assert em.log_likelihood(data, *end.fit[:3]) == pytest.approx(end.fit[3])
        assert (end.iterations, len(latest)) == (len(lls[end.number]), 10)
        for number in lls:  # also where the second stage begins
            changes = [e.change for e in reports if e.number == number]
            np.testing.assert_array_equal(changes[1:], np.diff(lls[number]))


# The winner; the ll of the handout's fit, of the rough ones, and of those that go on;
# "few" in front says that a component has few points, None is a collapse.
SEARCHES = [
    (0, "2 1 2.0000005 1 2.0000005 1 1"),
    (2, "2 1 4 3 4 4.0000005 1"),
    (2, "2 few9 3 1 3 1 few9"),
    (2, "few5 1 3 1 3 1 1"),
    (1, "few5 few4 None None few6"),
    (1, "2 3 4 5 None few8 4"),
    (3, "None None None 3 4"),
    (1, "2 3 4 5 6 None few8 few8 7"),
]


def outcome(em, word):
    """Return the fit, or the Collapse, that a word stands for."""
    if word == "None":
        return em.Collapse("it collapsed", 3, 0.0)
    return fit_of(float(word.removeprefix("few")), 0.01 if "few" in word else 0.5)


@pytest.mark.parametrize("winner, words", SEARCHES)
def test_the_right_starts_go_on_and_the_right_one_wins(em, scripted, winner, words):
    outcomes = [outcome(em, word) for word in words.split()]
    calls, restarts = scripted(outcomes), 4 if len(outcomes) > 7 else 3
    end, *_ = em.best_of(np.arange(200.0), 2, 1e-6, restarts)
    assert (end.number, list(end.fit[1])) == (winner, [0, 9] if winner else [9, 0])
    tols, starts = zip(*calls)  # random starts climb roughly, and the best go on
    assert tols == (1e-6, *restarts * [1e-3], *[1e-6] * (len(outcomes) - restarts - 1))
    assert starts[0] is None and None not in starts[1:]


def test_a_rough_tol_has_one_stage(em, scripted):
    calls = scripted([fit_of(2), *4 * [fit_of(1)], fit_of(2.00001)])
    assert em.best_of(np.arange(200.0), 2, 1e-3, 5)[0].number == 5 and len(calls) == 6


LOOKS = [  # tol, the end of the look, the handout's, and the gain that is told
    (1e-6, "1.5", "0", 1.5),
    (1e-6, "0.9", "0", 0),
    (5, "4", "0", 0),
    (5, "6", "0", 6),
    (1e-6, "few9", "0", 0),  # restarts would leave it out
    (1e-6, "few9", "few0", 9),
]


@pytest.mark.parametrize("tol, seen, handout, gain", LOOKS)
def test_a_look_is_rough_and_its_gain_is_told(em, scripted, tol, seen, handout, gain):
    went_on = 20 if "few" in seen else 1  # until one has enough points
    words = [*20 * ["-1"], *went_on * [seen], handout]
    calls = scripted([outcome(em, word) for word in words])
    assert em.best_of(np.arange(200.0), 2, tol)[-1] == gain
    tols, starts = zip(*calls)
    rough, two_iterations = 20 * [max(tol, 0.01)], went_on * [np.finfo(float).max]
    assert tols == (*rough, *two_iterations, tol)
    assert starts[-1] is None and None not in starts[:-1]


@pytest.mark.parametrize("unit", [1.0, 2.0**-246])
def test_random_starts_are_the_moments_of_parts_of_a_sample(em, unit):
    values = unit * np.resize([0, 1], 3000)  # a part has the variance m (1 - m)
    starts = list(em.random_starts(values, 5, 400, 0))
    weights, means, varis = np.swapaxes(starts, 0, 1)  # (400, 5) each
    means = means / unit
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert len(starts) == 400 and (np.diff(means) >= 0).all()
    for whole in 50 * weights, 50 * weights * means:  # points, and ones among them
        np.testing.assert_allclose(whole, np.round(whole), rtol=0, atol=1e-12)
    no_spread = (means == 0) | (means == 1)  # that of a uniform density on a fifth
    wanted = np.where(no_spread, 0.2**2 / 12, means * (1 - means))
    np.testing.assert_allclose(varis, np.maximum(wanted * unit**2, 1e-150), rtol=1e-12)
    sizes = np.round(50 * weights)
    assert (sizes.min(axis=0) == 2).all() and sizes.max() > 30, "cut at random places"
    np.testing.assert_allclose(sizes.mean(axis=0), 10, atol=1.5)
    ones = (weights * means).sum(axis=1)
    assert ones.mean() == pytest.approx(0.5, abs=0.02)  # drawn from all the values
    assert ones.std() == pytest.approx(0.5 / 50**0.5, rel=0.2)
    others = next(em.random_starts(values, 5, 1, 1))
    assert not np.array_equal(starts[0], others), "the seed changes nothing"
    next(em.random_starts(values, 5, 10**9, 0))  # each is made in its turn


# ---- Hard data: a right fit, or a ValueError that says why ----
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
for unit in 1, 2.0**-66, 2.0**-99:  # the second component gets some 1e-250 points
    start = [0.5, 0.5], [0, 36 * unit], [unit**2, unit**2]
    HARD[f"a faint start, in {unit}"] = groups((100, 0, 1)) * unit, 2, 1e-6, start


@pytest.mark.skipif(np.finfo("g").eps > 1e-18, reason="long double is a double here")
@pytest.mark.parametrize("name", HARD)
def test_agrees_with_long_double(em, name):
    train_as_textbook(em, *HARD[name])


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


def test_a_start_is_judged_by_its_distance_from_data_far_from_0(em):
    data = 1e80 + 1e70 * groups((50, 0, 1), (50, 9, 1))
    means = em.train(data, 2, 1, ([0.5, 0.5], [1e80, 1e80 + 9e70], [1e140] * 2))[1]
    assert (means - 1e80) / 1e70 == pytest.approx([0, 9], abs=0.5)


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


def collapses():
    """Yield data, a start that leads to a collapse, and what is said of that."""
    several = [*np.linspace(-50, 50, 40), *[1] * 5, *[6] * 7]
    start = [0.2, 0.4, 0.4], [6, 0, 1], [1e-4, 900, 1e-4]
    yield several, start, r"component 1 .* value 6 .* \(7 of the 52"  # the first one
    # With a larger tol EM could have stopped after iteration 2, not before.
    for iteration, sd, advice in (1, 0.5, ""), (2, 1, ""), (3, 2, "a larger tol or "):
        start = [0.5, 0.5], [2, 10 - sd], [4, sd**2]
        message = f"in iteration {iteration} .*--restarts 100 or {advice}a floor"
        yield [0, 1, 2, 3, 10], start, message
    for value in "0", "7.7", "1700000000.25", "-1e+15":
        start = [0.5, 0.5], [float(value)] * 2, [100, 0.01]
        share = r"in iteration 2 \(5002 of the 5042 values\)"
        for spread in (0, 1e-155):
            close = spread * np.resize([-1, 0, 1], 5001)
            data = float(value) + np.append(np.arange(-20.0, 21.0), close)
            yield data, start, f"2 collapsed onto the value {re.escape(value)} {share}"
    for n in (4095, 5123, 60_000):  # however the step is made
        i, rng = np.arange(n), np.random.default_rng(0)
        counts = np.where(rng.random(n) < 0.3, 0, rng.poisson(9, n))
        for data in np.where(i % 2 == 0, 0, 5 + i % 7), counts:
            share = rf"\({np.count_nonzero(data == 0)} of the {n} values\)"
            start = [0.5, 0.5], [0, 9], [1, 9]
            yield data, start, rf"onto the value 0 in iteration \d+ {share}"


@pytest.mark.parametrize("data, start, message", list(collapses()))
def test_a_collapse_is_seen_and_told(em, data, start, message):
    with pytest.raises(em.Collapse, match=message):
        em.train(data, len(start[0]), 1e-6, start)


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


# ---- Many values condensed to few points: the same sums and fit, in little memory ----
N = 60_000


def mixed(seed):
    """Return N values of three kinds, k, tol, and a start or None."""
    rng, n, data = np.random.RandomState(seed), N // 3, []
    for _ in range(3):
        m, s = rng.uniform(-20, 20), 10 ** rng.uniform(-1, 1)
        kinds = [
            lambda m, s: rng.normal(m, s, n),
            lambda m, s: rng.normal(m, s, n).round(1),  # ties
            lambda m, s: rng.randint(-5, 30, n),
            lambda m, s: rng.uniform(m, m + 30 * s, n),  # a background
            lambda m, s: rng.normal(m + 500, s, n),  # a gap, or a far group
            lambda m, s: rng.standard_t(3, n) * s + m,  # tails
            lambda m, s: rng.lognormal(0, 1, n),
            lambda m, s: rng.exponential(s, n) - m,
        ]
        data = np.append(data, kinds[rng.randint(len(kinds))](m, s))
    k = 1 + seed % 6
    if seed % 8 == 5:
        data[:30] += 1e6 * rng.normal(size=30)  # outliers a million sds away
    if seed % 2 == 0:
        return data, k, 30, None
    data *= 10.0 ** (seed % 3 * 7 - 7)  # a unit
    means = np.sort(rng.choice(data, k, replace=False))
    varis = np.var(data) * 10 ** rng.uniform(-3, 0, k)
    return data, k, 30, (np.full(k, 1 / k), means, varis)


# In the others of the first 36 the handout's start leads to a collapse.
@pytest.mark.parametrize("seed", sorted({*range(36)} - {2, 8, 28, 34}))
def test_many_values_get_the_fit_of_the_textbook(em, seed):
    train_as_textbook(em, *mixed(seed), dtype=float)


@pytest.mark.parametrize("seed", range(8))
def test_every_grid_has_the_powers_of_the_values(em, seed):
    condensed = em.condense(mixed(seed)[0] + 1e3)
    middle, half = condensed.ends.mean(), np.ptp(condensed.ends) / 2
    powers = np.arange(16)[:, None]
    values = (condensed.values - condensed.shift - middle) / half
    wanted = (values**powers).sum(axis=1)
    assert len(condensed.grids) > 5
    for grid in condensed.grids:
        scaled = (grid.nodes - middle) / half
        found = (scaled**powers * grid.node_weights).sum(axis=1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * N)
        sizes = grid.cell_sizes
        assert sizes.sum() == pytest.approx(N, rel=1e-12) and min(sizes) > 0.9


def test_the_example_of_the_comment_is_true(em):
    source = (ROOT / "gmm-em.py").read_text("utf-8")
    lines = re.findall(r"(?m)^#     (.*)", source.partition("# ---- Many values")[2])
    *lines, last = [line for line in lines if "node" in line or "values" in line]
    names = vars(em).copy()
    exec("\n".join(lines), names)
    found = eval(last.partition("#")[0], names)
    assert found == pytest.approx((5000, (names["values"] ** 2).sum()), rel=1e-12)


def watched(em, name, function, *arguments):
    """Return what a function returns, and how much data each call of em.<name> had."""
    with patch.object(em, name, wraps=getattr(em, name)) as spy:
        returned = function(*arguments)
    return returned, [len(call.args[0]) for call in spy.call_args_list]


def test_steps_are_made_on_as_few_points_as_will_do(em):
    rng = np.random.RandomState(0)  # a narrow component asks for finer cells
    data = np.append(rng.normal(0, 1, N // 2), rng.normal(0, 0.02, N // 2))
    start = [0.5, 0.5], [0, 0], [2, 1]
    _, points = watched(em, "gammas_and_logs", em.train, data, 2, 1, start)
    assert points[0] < points[-1] < N / 2
    # σ = 1 is too narrow, until it has grown.
    _, points = watched(em, "gammas_and_logs", em.train, np.arange(-N, 0), 2, 1)
    assert sum(points[: -(-N // max(points))]) == N and max(points[-9:]) < N / 100


def test_condensing_begins_at_4096_values_and_ignores_empty_components(em):
    usual, empty = [[0.5, 0.5], [-9, 9], [81, 81]], [[1, 0], [0, 5], [400, 1e-12]]
    for n, start, fewest in (4095, usual, 4095), (4096, usual, 0), (N, empty, 0):
        step = em.condense(mixed(10)[0][:n]).step
        _, points = watched(em, "gammas_and_logs", step, *np.array(start))
        assert fewest <= points[-1] <= max(fewest, 600)


@pytest.mark.parametrize("seed", [0, 1, 5])  # the sample alone has a needle
def test_a_look_goes_seldom_over_all_values(em, seed):
    look = em.condense(np.random.default_rng(seed).normal(0, 1, N)), 9, 1.0, 0, 0.0
    end, points = watched(em, "gammas_and_logs", em.look_around, *look)
    assert end.rank == 0 and sum(points) < 5 * N


def test_a_step_keeps_its_digits_from_wide_to_narrow_and_with_steep_gammas(em):
    rng = np.random.RandomState(0)
    wide = np.append(rng.normal(0, 1e3, N), rng.normal(5e8, 1e8, N))
    steep = rng.uniform(-5, 55, N)  # half way, γ goes from 0 to 1 within σ²/50
    for data, means, varis in (wide, [0, 5e8], [1e14, 1e16]), (steep, [0, 50], [1, 1]):
        data, start = em.condense(data), np.array([[0.5, 0.5], means, varis])
        over_values = data._replace(grids=[]).step(*start)
        np.testing.assert_allclose(data.step(*start)[3], over_values[3], rtol=2e-12)


def test_the_data_is_read_twice_however_many_the_iterations(em):
    _, read = watched(em, "blocks_of", em.best_of, mixed(10)[0], 3, 1, 2)
    assert read == [N, N]  # for the range, and to condense


def test_the_bytes_printed_depend_neither_on_cores_nor_on_the_kind_of_file(tmp_path):
    np.save(tmp_path / "data.npy", mixed(10)[0])
    np.savetxt(tmp_path / "data.txt", mixed(10)[0], "%.17g")
    printed = set()
    for name, cores in ("data.npy", "1"), ("data.npy", "2"), ("data.txt", "2"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": cores}
        done = run("gmm-em", name, 4, 1e-3, "--restarts", 1, cwd=tmp_path, env=env)
        printed.add((done.returncode, done.stdout.replace(name, "")))
    assert len(printed) == 1 and printed.pop()[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of memory")
def test_a_file_larger_than_the_memory_that_is_allowed_is_fitted(tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "data.npy", "w+", float, (20_000_000,))
    file[:] = np.resize(mixed(10)[0], len(file))  # 160 MB
    limits = "ulimit -d 120000; export OPENBLAS_NUM_THREADS=1"  # in units of 1024 bytes
    code, out, _ = bash(f"{limits}; $em data.npy 8 1e3", cwd=tmp_path)
    assert code == 0 and "\nn: 20000000\n" in out
