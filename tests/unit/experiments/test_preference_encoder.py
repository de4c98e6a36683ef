"""The preference encoder: what it was taught on, its loss, its last step, and what its card says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, xlogy

from duelbench.assets.model_source import packaged_encoder
from duelbench.envs.text.tasks import load_task, task_names
from duelbench.envs.text.tasks.grammar import pool
from duelbench.experiments.preference_encoder.attributes import NAMES, attributes, random_tastes
from duelbench.experiments.preference_encoder.evaluate import accuracy
from duelbench.experiments.preference_encoder.finish import rotation, turned
from duelbench.experiments.preference_encoder.sample import SPLIT
from duelbench.experiments.preference_encoder.train import Readers, Texts, Train
from duelbench.oracles.reader.taste import FEATURES, TASTES
from duelbench.posteriors.encoders.preference import PreferenceEncoder
from duelbench.streams import Streams

FOLDER = Path(__file__).parents[3] / "experiments" / "preference_encoder"
ROWS = [
    ("Write a sad sentence about a fox in the rain.", ["A fox wept, softly.", "Rain!", "The red fox was sad and ran."]),
    ("Describe a quiet cave at dawn.", ["No wind.", "At dawn the cave is still.", ""]),
]


def test_no_task_has_a_prompt_that_was_learned_from() -> None:
    learned = {prompt.text for family in ("story", "product", "place") for prompt in pool(SPLIT, family)}
    for name in task_names():
        assert learned.isdisjoint(load_task(name).prompts), name


def test_reported_tastes_are_no_training_readers() -> None:
    drawn = random_tastes(256, Streams(0).generator("tastes"))
    assert ((drawn != 0).sum(1) == len(NAMES) // 4).all()
    for taste in TASTES.values():
        weights = np.array([taste.get(name, 0.0) for name in NAMES])
        cosine = drawn @ weights / (np.linalg.norm(drawn, axis=1) * np.linalg.norm(weights))
        assert np.abs(cosine).max() < 0.9


def test_attributes_left_out_are_weighed_by_nobody() -> None:
    drawn = random_tastes(64, np.random.default_rng(0), without=("mood", "topic"))
    assert not drawn[:, [NAMES.index("mood"), NAMES.index("topic")]].any()
    assert drawn.any(0).sum() == len(NAMES) - 2


def test_no_training_reader_weighs_what_makes_good_answers_rare() -> None:
    assert set(TASTES["reader-rare"]) - set(NAMES) == {"all_at_once"}


def test_attributes_of_a_text() -> None:
    prompts, texts = [ROWS[0][0]] * 3 + [ROWS[1][0]], [*ROWS[0][1], ""]
    found = dict(zip(NAMES, attributes(prompts, texts).T, strict=True))
    assert list(found)[:15] == [name for name in FEATURES if name != "all_at_once"]
    assert found["commas"].tolist() == [0.5, 0.0, 0.0, 0.0]
    assert found["exclamation"].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert found["past"][2] == pytest.approx(1 / 7)
    assert found["early mention"][1] == 1.0
    assert np.isfinite(np.array(list(found.values()))).all()


def test_the_loss_is_the_formula() -> None:
    texts = Texts.of(ROWS)
    options = Train(Path(), Path(), readers=5, dim=4)
    torch.manual_seed(0)
    readers = Readers(options, texts)
    features = torch.randn(2, 3, 4)
    loss = readers.loss(features, texts.attributes)
    standard = np.clip((texts.attributes - readers.mean) / readers.spread, -4, 4).astype(np.float64)
    u, heads, total = standard @ readers.tastes.T, readers.heads.detach().double().numpy(), []
    for row, reader in np.ndindex(2, 5):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            wanted = expit(1.5 * (u[row, i, reader] - u[row, j, reader]))
            said = expit((features[row, i] - features[row, j]).double().numpy() @ heads[reader])
            total.append(-xlogy(wanted, said) - xlogy(1 - wanted, 1 - said))
    assert float(loss.detach()) == pytest.approx(np.mean(total), rel=1e-4)


def test_turned_features_make_readers_isotropic_and_components_uncorrelated() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((6, 6))
    heads, z = rng.standard_normal((400, 6)) @ mixed, rng.standard_normal((900, 6)) @ mixed.T
    covariance = z.T @ z / len(z)
    turn = rotation(heads, covariance, 1.0 - 1e-12)
    assert turn.shape == (6, 6)
    after = turn @ covariance @ turn.T
    np.testing.assert_allclose(after, np.diag(np.diag(after)), atol=1e-8 * after.max())
    assert (np.diff(np.diag(after)) <= 0).all()
    new_heads = heads @ np.linalg.inv(turn)  # the same utilities: w·φ = w'·φ'
    np.testing.assert_allclose(new_heads.T @ new_heads / len(heads), np.eye(6), atol=1e-8)
    small = rotation(heads, covariance, 0.5)
    assert len(small) < 6
    np.testing.assert_allclose(small, turn[: len(small)])


def test_a_turned_network_gives_turned_features(float32: None) -> None:
    encoder = PreferenceEncoder()
    turn, mean = torch.randn(3, encoder.dim), torch.randn(encoder.dim)
    prompts, texts = [row[0] for row in ROWS], [row[1] for row in ROWS]
    batch = encoder.tokens(prompts, texts)
    with torch.no_grad():
        expected = (encoder.module(batch) - mean) @ turn.T
        torch.testing.assert_close(turned(encoder.module, turn, mean)(batch), expected, rtol=1e-3, atol=1e-3)


def test_accuracy_of_perfect_and_of_useless_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 16, 3))
    utilities = 3 * features @ np.array([1.0, -1.0, 0.5])
    assert accuracy(features, utilities, 30, 512, 0) > 0.95
    assert accuracy(rng.standard_normal(features.shape), utilities, 30, 512, 0) == pytest.approx(0.5, abs=0.05)


def records() -> list[dict[str, str]]:
    with (FOLDER / "records.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_card_says_what_the_records_say() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for row in records():
        shares = " | ".join(f"{float(row[f'accuracy_{n}']):.2f}" for n in (64, 128, 512, 2048))
        assert f"| {row['encoder']} | {row['taste']} | {float(row['r2']):.2f} | {shares} |" in card


def test_the_goals_set_beforehand_are_met() -> None:
    found = {row["taste"]: row for row in records() if row["encoder"] == "preference"}
    for taste, goal in {"reader-easy": 0.75, "reader": 0.70, "reader-hard": 0.65}.items():
        assert float(found[taste]["r2"]) >= goal
        assert float(found[taste]["accuracy_512"]) >= 0.75


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in packaged_encoder().iterdir()) < 6_000_000
