"""HeadlineDuel-v0: clicks as duels, synthetic tests and tests from a file in the archive's format."""

import csv

import gymnasium as gym
import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binomtest

import duelbench  # noqa: F401 - registers the environments
from duelbench.duels.preference import Feedback
from duelbench.envs.arms.headlines import ArchiveError, HeadlineFamily, read_archive
from duelbench.types import Verdict

HEADER = [
    "created_at",
    "test_week",
    "clickability_test_id",
    "impressions",
    "headline",
    "eyecatcher_id",
    "clicks",
    "excerpt",
]
PACKAGES = [
    ("t1", 3000, "You won't believe it", 60),
    ("t1", 2000, "A plain, true line", 20),
    ("t1", 1000, "A plain, true line", 40),  # the same headline with another image
    ("t1", 500, "Third", 0),
    ("t2", 100, "Only one", 5),
    ("t3", 1000, "Left", 10),
    ("t3", 1000, "Right", 30),
]


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for test, impressions, headline, clicks in PACKAGES:
            writer.writerow(["2014-11-20", "201446", test, impressions, headline, "546", clicks, 'Says "so", twice'])
    return path


def test_verdicts_are_those_of_two_readers_who_click_independently():
    rows, duels, rates = 50, 200, np.array([0.3, 0.1, 0.2])
    env = gym.make_vec("HeadlineDuel-v0", num_envs=rows, arms=3, identical="ask").unwrapped
    env.reset(seed=0)
    env.problem._rates[:], env.problem._preferences[:] = rates, 0.5 * (1.0 + np.subtract.outer(rates, rates))

    def verdicts(pair):
        return np.concatenate([env.step(np.tile(pair, (rows, 1)))[4]["verdict"] for _ in range(duels)])

    clicks = np.random.default_rng(0).random((10**6, 2)) < rates[:2]
    seen = verdicts([0, 1])
    for name, one, other in (("first", 0, 1), ("second", 1, 0)):
        share = (clicks[:, one] & ~clicks[:, other]).mean()
        assert binomtest(int((seen == name).sum()), rows * duels, share).pvalue > 1e-4
    assert binomtest(int((verdicts([2, 2]) == "tie").sum()), rows * duels, 0.2**2 + 0.8**2).pvalue > 1e-4


def test_preferences_count_ties_as_half():
    instance = HeadlineFamily(arms=4).draw(np.random.default_rng(0))
    p = instance.utilities
    for i in range(4):
        for j in range(4):
            wins, ties = p[i] * (1 - p[j]), p[i] * p[j] + (1 - p[i]) * (1 - p[j])
            assert instance.preferences[i, j] == pytest.approx(wins + ties / 2)


def test_synthetic_tests_have_the_stated_click_rates_and_predictions():
    rng = np.random.default_rng(0)
    drawn = [HeadlineFamily(arms=5, predictor_noise=1.0).draw(rng) for _ in range(2000)]
    rates = np.concatenate([instance.utilities for instance in drawn])
    predicted = np.concatenate([instance.predicted_rates for instance in drawn])
    assert rates.mean() == pytest.approx(1.38 / (1.38 + 96.11), rel=0.03)
    assert logit(rates).std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(logit(rates), logit(predicted))[0, 1] == pytest.approx(0.7, abs=0.03)
    perfect = HeadlineFamily(arms=5, predictor_noise=0.0).draw(rng)
    assert perfect.predicted_rates == pytest.approx(perfect.utilities)


def test_regret_counts_the_clicks_that_an_impression_loses():
    env = gym.make("HeadlineDuel-v0", arms=3)
    env.reset(seed=1)
    rates = env.unwrapped.problem.instances[0].utilities
    regrets = env.unwrapped.regrets([0, 2])
    assert regrets["average"] == pytest.approx(rates.max() - (rates[0] + rates[2]) / 2)
    truth = env.unwrapped.truth(np.zeros(1, np.int64), np.array([0]))
    assert truth.best_beats() == pytest.approx(0.5 * (1 + rates.max() - rates[0]))


def test_predictions_are_observed_and_the_truth_is_not():
    env = gym.make("HeadlineDuel-v0")
    observation, info = env.reset(seed=3)
    instance = env.unwrapped.problem.instances[0]
    assert observation["predicted_rates"] == pytest.approx(instance.predicted_rates)
    assert set(observation) == {"context", "predicted_rates"} and info == {}


def test_position_decides_its_share_of_the_ties_too():
    env = gym.make("HeadlineDuel-v0", position_bias=0.25)
    env.reset(seed=0)
    ids, pair = np.zeros(1, np.int64), (np.array([0]), np.array([1]))
    p = env.unwrapped.problem.instances[0].utilities[:2]
    first = env.unwrapped.problem.preference(ids, *pair) - env.unwrapped.problem.ties(ids, *pair) / 2
    assert first == pytest.approx(0.25 + 0.75 * p[0] * (1 - p[1]))


def test_an_archive_adds_packages_with_one_headline_up(archive):
    tests = read_archive(archive)
    assert [*tests] == ["t1", "t2", "t3"]
    plain = tests["t1"]["A plain, true line"]
    assert (plain.impressions, plain.clicks) == (3000, 60)
    assert plain.rate == pytest.approx((1.38 + 60) / (1.38 + 96.11 + 3000))


def test_an_archive_is_played_one_of_its_tests_at_a_time(archive):
    env = gym.make("HeadlineDuel-v0", arms=2, archive=str(archive))
    known = [{h.rate for h in test.values()} for test in read_archive(archive).values()]
    played = set()
    for seed in range(30):
        env.reset(seed=seed)
        rates = set(env.unwrapped.problem.instances[0].utilities.tolist())
        number = next(k for k, test in enumerate(known) if rates <= test)
        played.add(number)
    assert played == {0, 2}  # the second test has one headline


def test_a_column_of_predictions_is_taken_as_it_is(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("id,title,views,hits,model\na,x,100,1,0.02\na,y,100,3,0.05\n", encoding="utf-8")
    columns = {"test": "id", "headline": "title", "impressions": "views", "clicks": "hits", "predicted": "model"}
    family = HeadlineFamily(arms=2, archive=str(path), columns=columns)
    drawn = family.draw(np.random.default_rng(0))
    assert sorted(drawn.predicted_rates.tolist()) == [0.02, 0.05]
    assert np.array_equal(np.argsort(drawn.utilities), np.argsort(drawn.predicted_rates))


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("clickability_test_id,headline,impressions\na,x,3\n", None, "no column 'clicks'"),
        (
            "clickability_test_id,headline,impressions,clicks\na,x,3,4\n",
            None,
            "line 2: expected clicks between 0 and 3",
        ),
        ("clickability_test_id,headline,impressions,clicks\na,x,many,4\n", None, "line 2: expected numbers"),
        ("clickability_test_id,headline,impressions,clicks\na,x\n", None, "line 2: expected numbers"),
        ("a,b\n", {"clics": "b"}, "did you mean 'clicks'"),
        ("", None, "has no column"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_with_its_reason(tmp_path, text, columns, message):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArchiveError, match=message):
        read_archive(path, columns)


def test_an_archive_without_a_test_of_that_size_and_other_nonsense_is_refused(archive, tmp_path):
    with pytest.raises(ArchiveError, match="none of the 3 tests"):
        gym.make("HeadlineDuel-v0", arms=9, archive=str(archive))
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_archive(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="give its file too"):
        HeadlineFamily(columns={"clicks": "hits"})
    with pytest.raises(ValueError, match="predictor_noise"):
        HeadlineFamily(predictor_noise=-1.0)


def test_ties_leave_other_verdicts_where_they_were():
    rng = np.random.default_rng(0)
    p, uniforms = rng.random(1000), rng.random((1000, 2))
    ties = 2 * np.minimum(p, 1 - p) * 0.4
    plain, tied = Feedback().verdicts(p, uniforms), Feedback().verdicts(p, uniforms, ties=ties)
    decided = tied != Verdict.TIE
    assert np.array_equal(plain[decided], tied[decided]) and 0.1 < 1 - decided.mean() < 0.3
    assert np.array_equal(Feedback().verdicts(p, uniforms, ties=np.zeros(1000)), plain)
    likelier = Feedback("deterministic")
    assert np.array_equal(likelier.verdicts(p, uniforms, ties=ties), likelier.verdicts(p, uniforms))
    adversary = Feedback(corrupted=500).verdicts(p, uniforms, np.arange(1000), ties)
    assert (adversary[:500] != Verdict.TIE).all() and (adversary[500:] == Verdict.TIE).any()
