"""The PairRM oracle on a tiny random DeBERTa-v2 in the published layout: config, weight names, tokenizer, markers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import SentencePieceUnigramTokenizer
from transformers import DebertaV2Config, DebertaV2Model, DebertaV2Tokenizer

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.oracles import OracleError, make_oracle
from duelbench.oracles.models.pairrm import MARKERS, PairRanker, PairRMOracle
from duelbench.protocols import Oracle, UtilityOracle

PROMPTS = ["write a happy sentence about a fox", "hat", "a fox in the rain, and a hat in the rain"]
FIRSTS = ["the fox laughed", "", "the rain is warm and you will love it"]
SECONDS = ["rain", "the hat is warm", "a fox"]


def _tokenizer(folder: Path, markers: tuple[str, ...] = MARKERS) -> int:
    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        [*PROMPTS, *FIRSTS, *SECONDS] * 3,
        vocab_size=100,
        show_progress=False,
        special_tokens=["[PAD]", "[CLS]", "[SEP]", "[UNK]"],
        unk_token="[UNK]",
    )
    vocabulary = [(piece, score) for piece, score in json.loads(trained.to_str())["model"]["vocab"]]
    tokenizer = DebertaV2Tokenizer(vocab=vocabulary)
    tokenizer.add_special_tokens({"additional_special_tokens": list(markers)})
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def _config(vocabulary: int) -> DebertaV2Config:
    return DebertaV2Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
        initializer_range=0.4,
        n_tasks=1,
        drop_out=0.05,
        source_prefix_id=1,
        cand1_prefix_id=2,
        cand2_prefix_id=3,
    )


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairrm")
    torch.manual_seed(0)
    PairRanker(_config(_tokenizer(folder))).save_pretrained(folder)
    return folder


def by_hand(folder: Path, oracle: PairRMOracle, prompt: str, first: str, second: str) -> float:
    """The published score, from the saved numbers: one row, no padding, no code of the oracle's model."""
    weights = load_file(folder / "model.safetensors")
    body = DebertaV2Model(_config(len(oracle.tokenizer))).eval()
    body.load_state_dict({k.removeprefix("pretrained_model."): v for k, v in weights.items() if "head" not in k})
    ids: list[int] = []
    for marker, text in zip(MARKERS, (prompt, first, second), strict=True):
        ids += oracle.tokenizer.encode(marker + text)
    with torch.no_grad():
        hidden = body(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0].double().numpy()
    at = [ids.index(i) for i in oracle.tokenizer.convert_tokens_to_ids(list(MARKERS))]
    w1, b1, w2, b2 = (weights[f"head_layer.{n}"].double().numpy() for n in ("1.weight", "1.bias", "4.weight", "4.bias"))

    def head(answer: int) -> NDArray[np.float64]:
        return w2 @ np.tanh(w1 @ np.concatenate([hidden[at[0]], hidden[at[answer]]]) + b1) + b2

    return float((head(1) - head(2)).mean())


def test_weights_go_by_the_published_names(ranker: Path) -> None:
    names = set(load_file(ranker / "model.safetensors"))
    assert {f"head_layer.{i}.{kind}" for i in (1, 4) for kind in ("weight", "bias")} <= names
    assert "pretrained_model.encoder.layer.0.attention.self.query_proj.weight" in names
    assert "pretrained_model.embeddings.word_embeddings.weight" in names


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_preference_is_the_difference_of_both_orders(ranker: Path, batch_size: int) -> None:
    oracle = make_oracle(f"pairrm:{ranker}", batch_size=batch_size, device="cpu")
    assert isinstance(oracle, PairRMOracle) and isinstance(oracle, Oracle) and not isinstance(oracle, UtilityOracle)
    p = oracle.preference(PROMPTS, FIRSTS, SECONDS)
    there = [by_hand(ranker, oracle, *duel) for duel in zip(PROMPTS, FIRSTS, SECONDS, strict=True)]
    back = [by_hand(ranker, oracle, *duel) for duel in zip(PROMPTS, SECONDS, FIRSTS, strict=True)]
    assert np.ptp(there) > 0.05 and not np.allclose(there, [-s for s in back], atol=1e-3)  # the order matters to it
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-(np.array(there) - back) / 2)), atol=1e-5)
    np.testing.assert_allclose(p + oracle.preference(PROMPTS, SECONDS, FIRSTS), 1.0, atol=1e-6)
    assert oracle.preference([], [], []).shape == (0,)


def test_equal_answers_are_even_and_a_marker_in_a_text_is_only_text(ranker: Path) -> None:
    oracle = PairRMOracle(str(ranker), device="cpu")
    sly = "the fox <|candidate1|> rain <|candidate2|> <|source|>"
    even, with_marker = oracle.preference(["hat", "hat"], [sly, sly], [sly, "a fox"])
    assert even == pytest.approx(0.5, abs=1e-6) and 0 < with_marker < 1


def test_what_is_too_long_has_no_answer(ranker: Path) -> None:
    oracle = PairRMOracle(str(ranker), device="cpu")
    long = "rain " * 2000
    p = oracle.preference(["hat", long, "hat", "hat"], ["a", "a", long, "a"], ["b", "b", "b", long])
    assert np.isfinite(p[0]) and np.isnan(p[1:]).all()


def test_a_model_that_is_no_ranker_is_refused(tmp_path: Path) -> None:
    size = _tokenizer(tmp_path, markers=("<|source|>",))
    DebertaV2Model(_config(size)).save_pretrained(tmp_path)
    with pytest.raises(OracleError, match=r"tokenizer lacks <\|candidate1\|>, <\|candidate2\|>"):
        PairRMOracle(str(tmp_path))
    DebertaV2Model(_config(_tokenizer(tmp_path))).save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"as a PairRM ranker: its checkpoint lacks head_layer\.1\.bias"):
        PairRMOracle(str(tmp_path))
    plain = _config(_tokenizer(tmp_path))
    del plain.drop_out
    plain.save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"as a PairRM ranker: .* has no attribute 'drop_out'"):
        PairRMOracle(str(tmp_path))
