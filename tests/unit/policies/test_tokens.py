from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from duelbench.chat.local import LocalChat
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.tokens import Tokens

BOS, EOS = 1, 2
PLAIN = "the fox"


def adds_bos(tokenizer: PreTrainedTokenizerFast, template: str | None) -> PreTrainedTokenizerFast:
    """As those of Gemma, Llama and OPT: a post-processor puts <s> in front."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    made.chat_template = template
    return made


@pytest.fixture
def bos_model(any_model: Path, tmp_path: Path) -> Path:
    """A model whose tokenizer adds <s> and has no chat template."""
    folder = tmp_path / "bos"
    shutil.copytree(any_model, folder)
    (folder / "chat_template.jinja").unlink()
    adds_bos(AutoTokenizer.from_pretrained(any_model), None).save_pretrained(folder)
    return folder


def without_template(model: Path, folder: Path) -> Path:
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


CHAT = "{% for m in messages %}<user>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<reply>{% endif %}"


@pytest.mark.parametrize(
    ("chat", "template"),
    [
        (None, None),
        (None, "{prompt}"),
        (None, "<s>{prompt}"),
        (None, "Q: {prompt}\nA:"),
        (CHAT, None),
        ("{{ bos_token }}" + CHAT, None),
        ("{{ bos_token }}" + CHAT, "Q: {prompt}"),
    ],
)
@pytest.mark.parametrize("prompt", [PLAIN, "<s>the fox", ""])
def test_a_prompt_begins_with_one_bos_where_the_tokenizer_adds_one(
    llama: Path, chat: str | None, template: str | None, prompt: str
) -> None:
    if prompt.startswith("<s>") and not (chat is None and template in (None, "{prompt}")):
        prompt = PLAIN  # a person's own <s> in the middle of a chat is the person's
    ours = CausalLMPolicy(llama)
    tokens = Tokens(adds_bos(ours.tokenizer, chat), ours._model, template, 4)
    rows, lengths = tokens.prompts([prompt, PLAIN])
    for row, size in zip(rows.tolist(), lengths.tolist(), strict=True):
        assert row[0] == BOS and row[:size].count(BOS) == 1


def test_without_a_chat_template_prompts_are_tokenised_as_the_tokenizer_does(bos_model: Path) -> None:
    ours = CausalLMPolicy(bos_model)
    rows, lengths = ours._tokens.prompts([PLAIN])
    assert rows[0].tolist() == ours.tokenizer(PLAIN)["input_ids"] and lengths.tolist() == [rows.shape[1]]
    scored = ours.score([PLAIN], ["in the rain"])
    answer = torch.tensor([*ours.tokenizer("in the rain", add_special_tokens=False)["input_ids"], EOS])
    with torch.no_grad():
        logits = ours._model(torch.cat([rows[0], answer])[None]).logits[0, rows.shape[1] - 1 : -1]
    want = logits.log_softmax(-1).gather(1, answer[:, None]).sum().item()
    assert scored.log_probs[0] == pytest.approx(want, abs=0.3)  # in bfloat16, on a CPU that is faster in it
    assert scored.payload["tokens"][0, : scored.lengths[0]].tolist() == answer.tolist()


def test_a_tokenizer_that_adds_no_bos_is_given_none(any_model: Path, tmp_path: Path) -> None:
    ours = CausalLMPolicy(without_template(any_model, tmp_path / "m"))
    assert ours._tokens.prompts([PLAIN])[0][0].tolist() == ours.tokenizer(PLAIN)["input_ids"]


def test_an_empty_prompt_is_answered_by_bos_alone_and_whatever_its_neighbours(bos_model: Path) -> None:
    ours = CausalLMPolicy(bos_model, dtype="float32")
    alone = ours.sample({"prompt": [""]}, 3, np.random.default_rng(0))
    beside = ours.sample({"prompt": ["", "the rain in the fox"]}, 3, np.random.default_rng(0))
    after = ours.sample({"prompt": ["the fox", ""]}, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(alone.payload["tokens"][0], beside.payload["tokens"][0])
    np.testing.assert_allclose(alone.reference_log_probs[0], beside.reference_log_probs[0], atol=1e-4)
    assert after.context["prompt_lengths"].tolist() == [len(ours.tokenizer("the fox")["input_ids"]), 1]


def test_what_no_model_could_read_is_refused_with_its_row(any_model: Path, tmp_path: Path) -> None:
    """Before anything is sampled, by whoever reads prompts."""
    folder = without_template(any_model, tmp_path / "m")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(folder)
    ours, chat, rng = CausalLMPolicy(folder), LocalChat(str(folder), max_new_tokens=2), np.random.default_rng(0)
    vocabulary = len(tokenizer) - 1
    wrong = {
        "": "prompt 2 is '', which renders to no token",
        "half \ud83d of it": "prompt 2, .*half of a character",
        "a <new> word": f"prompt 2, .* has token {vocabulary}, but the model embeds {vocabulary} tokens",
        "fox " * 200: "prompt 2, .*exceed the 128 that the model reads",
    }
    for prompt, message in wrong.items():
        for ask in (
            lambda texts: ours.check_prompts(texts),
            lambda texts: ours.sample({"prompt": texts}, 2, rng),
            lambda texts: ours.score(texts, ["a", "b"]),
            lambda texts: chat.complete(texts, rng),
        ):
            with pytest.raises(ValueError, match=message):
                ask([PLAIN, prompt])
    for text, message in (("half \udc00", "half of a character"), ("<new>", f"token {vocabulary}")):
        with pytest.raises(ValueError, match=f"response 2, .*{message}"):
            ours.score([PLAIN, PLAIN], ["good", text])
    ours.check_prompts([])


def test_a_given_text_ends_as_the_models_own_turns_do(llama: Path) -> None:
    """Not with the end of a document, which a chat model never says after a turn."""
    ours = CausalLMPolicy(llama)
    turn_end, word = 4, "<reply>"
    ours._model.generation_config.eos_token_id = [EOS, turn_end]
    ours.tokenizer.chat_template = (
        "{% for m in messages %}<user>{{ m['content'] }}{% if m['role'] == 'assistant' %}" + word + "{% endif %}"
        "{% endfor %}"
    )
    given = Tokens(ours.tokenizer, ours._model, None, 8)
    tokens, lengths = given.responses(["the fox"])
    assert tokens[0, lengths[0] - 1] == turn_end and given.end.tolist() == [turn_end, EOS]
    ours.tokenizer.chat_template = "{{ raise_exception('a system turn first') }}"
    assert Tokens(ours.tokenizer, ours._model, None, 8).end[0] == EOS


def test_unfinished_responses_are_those_that_do_not_end(llama: Path) -> None:
    ours = CausalLMPolicy(llama, max_new_tokens=3)
    tokens = torch.tensor([[7, 8, 9], [7, 8, EOS], [EOS, 0, 0], [7, 205, 0]])
    assert ours._tokens.unfinished(tokens, torch.tensor([3, 3, 1, 2])).tolist() == [True, False, False, False]
