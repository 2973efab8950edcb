"""The functions of the handout against plain loops and scipy.stats, and restarts."""

import ast
import itertools
import math

import numpy as np
import pytest
from conftest import ROOT, assert_same_fit, fit_of, textbook, trace
from scipy.stats import norm

pytestmark = pytest.mark.filterwarnings("error")
PARAMETERS = [0.2, 0.3, 0.5], [-1.0, 2.0, 7.5], [0.5, 2.0, 1.5]  # weights, means, varis
SAMPLE = np.random.RandomState(0).normal([0, 4, 9], [1, 0.5, 2], (20, 3)).ravel()


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


CASES = {*itertools.product(np.arange(1, 7), (1e9, 1, 1e-2, 1e-6))} - {(6, 1e-6)}


@pytest.mark.parametrize("k, tol", sorted(CASES))  # the last one would collapse
def test_train_is_the_loop_of_the_textbook(em, data, k, tol):
    found, wanted = trace(em, data, k, tol), textbook(data, k, tol)
    assert_same_fit(found, wanted, rtol=1e-6 if tol < 1e-3 else 1e-9)


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
        found = trace(em, data, k, 1e-6, start, min_sd)
        assert_same_fit(found, textbook(data, k, 1e-6, start, min_sd), rtol=1e-7)
        assert min(found[2]) >= min_sd**2 * (1 - 1e-15)


@pytest.mark.parametrize("lls", [[-20, -10, -9, -8.5, 0], [8, 10, 7, 99]])
def test_a_rise_of_less_than_tol_ends_a_run_and_so_does_a_fall(em, monkeypatch, lls):
    left, reports = iter([9, *lls]), []  # 9 is the ll of the start: no run stops there
    monkeypatch.setattr(em, "em_step", lambda _, *mixture: (next(left), *mixture))
    fit = em.train(SAMPLE, 2, 1.0, report=lambda *report: reports.append(report))
    assert (fit[3], len(reports)) == (lls[-2], len(lls) - 1)


def test_what_read_data_returns_is_data_to_numpy_too(em, data):
    numbers = em.read_data(ROOT / "data.txt")
    assert type(numbers) is np.ndarray and numbers.tolist() == data.tolist()


def test_train_runs_on_the_functions_a_grader_calls(em, data, monkeypatch):
    for name in ("initialize", "gammas_and_logs", "maximization", "em_step"):
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(em, name, lambda *_, **__: 1 / 0)
            em.train(data, 3, 1)


# ---- Restarts ----
def test_of_all_starts_the_one_of_highest_ll_wins_from_either_stage(em, data):
    for tol, k in (1e-6, 4), (1e-6, 2), (1e-2, 5):
        reports = []
        found = em.best_of(data, k, tol, 9, report=reports.append)
        end, ends, latest, _ = found
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
def test_the_best_go_on_and_ties_few_points_and_collapses_are_judged(
    em, scripted, winner, words
):
    outcomes = [outcome(em, word) for word in words.split()]
    calls, restarts = scripted(outcomes), 4 if len(outcomes) > 7 else 3
    end, *_ = em.best_of(np.arange(200.0), 2, 1e-6, restarts)
    assert (end.number, list(end.fit[1])) == (winner, [0, 9] if winner else [9, 0])
    tols, starts = zip(*calls)  # random starts climb roughly, and the best go on
    assert tols == (1e-6, *restarts * [1e-3], *[1e-6] * (len(outcomes) - restarts - 1))
    assert starts[0] is None and None not in starts[1:]


def test_a_rough_tol_has_one_stage_and_no_start_left_is_an_error(em, scripted):
    calls = scripted([fit_of(2), *4 * [fit_of(1)], fit_of(2.00001)])
    assert em.best_of(np.arange(200.0), 2, 1e-3, 5)[0].number == 5 and len(calls) == 6
    scripted(4 * [outcome(em, "None")])
    with pytest.raises(em.Collapse, match="each of 4 starts ended so"):
        em.best_of(np.arange(200.0), 2, 1e-6, 3)


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
