"""PairRM as an oracle: a DeBERTa ranker that reads a request and both answers at once.

Jiang, Ren and Lin, "LLM-Blender", https://arxiv.org/abs/2306.02561; weights ``llm-blender/PairRM-hf`` (MIT, 0.4 B).
Here it has only been run on random weights in the same layout of files, never on the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn
from transformers import DebertaV2Model
from transformers.models.deberta_v2.modeling_deberta_v2 import DebertaV2PreTrainedModel

from duelbench.assets.pretrained import pretrained, pretrained_tokenizer
from duelbench.conversation import transcript
from duelbench.oracles.checks import OracleError, check_texts
from duelbench.oracles.models.networks import pad, pick_device, score_in_batches
from duelbench.ranges import Count, check_values

MARKERS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
"""What stands before the request, the first and the second answer; each is one token."""
_LONGEST_SOURCE, _LONGEST = 1224, 2048  # tokens that the published ranker was trained with


class PairRanker(DebertaV2PreTrainedModel):  # type: ignore[misc]
    """DeBERTa-v2 and a two-layer head; the names of the parts are those of the published weights."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.pretrained_model = DebertaV2Model(config)
        self.head_layer = nn.Sequential(
            nn.Dropout(config.drop_out),
            nn.Linear(2 * config.hidden_size, config.hidden_size),
            nn.Tanh(),
            nn.Dropout(config.drop_out),
            nn.Linear(config.hidden_size, config.n_tasks),
        )
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, markers: Tensor) -> Tensor:
        """How much better the first answer is, (n,): head(request, first) - head(request, second), mean over tasks.

        Args:
            input_ids: (n, T).
            attention_mask: (n, T).
            markers: where the three markers stand, (n, 3).
        """
        hidden = self.pretrained_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        request, first, second = hidden[torch.arange(len(markers))[:, None], markers].unbind(1)  # (n, d) each
        scores = [self.head_layer(torch.cat([request, answer], -1)) for answer in (first, second)]
        return (scores[0] - scores[1]).mean(-1)


class PairRMOracle:
    """Pairwise judgement by a PairRM ranker, free of position bias by asking twice.

    P(first) = sigmoid((s(y1, y2) - s(y2, y1)) / 2), where s is the ranker's score of its first answer over its second:
    its training makes sigmoid(s) a probability, and the difference of both orders is how LLM-Blender compares. There
    is no utility of one text, so no regret.

    LLM-Blender cuts what is too long; here a text is never cut, for a cut text is another text: the answer is NaN.
    """

    def __init__(self, model: str, *, batch_size: Count = 16, device: str | None = None) -> None:
        """Load a ranker; code from the model's repository is never run.

        Args:
            model: local folder or hub id in the layout of ``llm-blender/PairRM-hf``.
            batch_size: pairs scored at once.
            device: torch device; the GPU when there is one, by default.

        Raises:
            ModelUnavailableError: it is no PairRM ranker, or cannot be loaded whole (``duelbench.assets.pretrained``).
            OracleError: its tokenizer does not know the markers.
        """
        check_values(PairRMOracle, {"batch_size": batch_size})
        self.name = f"pairrm:{model}"
        self.batch_size, self.device = batch_size, pick_device(device)
        self.tokenizer: Any = pretrained_tokenizer(model, kind="a PairRM ranker")
        self._marker_ids = [self.tokenizer.convert_tokens_to_ids(marker) for marker in MARKERS]
        unknown = [
            m for m, i in zip(MARKERS, self._marker_ids, strict=True) if i in (None, self.tokenizer.unk_token_id)
        ]
        if unknown:
            raise OracleError(f"{self.name}: its tokenizer lacks {', '.join(unknown)}: choose a PairRM ranker")
        self.model = pretrained(PairRanker, model, kind="a PairRM ranker", dtype="auto").to(self.device)

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the texts are too long.

        Raises:
            OracleError: unequal lengths or entries that are no strings.
        """
        check_texts(self.name, prompts, firsts, seconds)
        n = len(prompts)
        rows = [self._encode(*duel) for duel in zip(prompts, firsts, seconds, strict=True)]
        rows += [self._encode(*duel) for duel in zip(prompts, seconds, firsts, strict=True)]
        lengths = [0 if row is None else len(row[0]) for row in rows]
        scores = score_in_batches(rows, lengths, lengths, self.batch_size, self._score)
        scores[~np.isfinite(scores)] = np.nan
        return np.asarray(expit((scores[:n] - scores[n:]) / 2), np.float64)

    def _encode(self, prompt: str, first: str, second: str) -> tuple[list[int], list[int]] | None:
        """Tokens of request, first and second answer, and where their markers stand; None if they are too long."""
        texts = zip(MARKERS, (transcript(prompt), first, second), strict=True)
        parts = [list(self.tokenizer(marker + text)["input_ids"]) for marker, text in texts]  # each in [CLS] … [SEP]
        lengths = [len(part) for part in parts]
        if lengths[0] > _LONGEST_SOURCE or max(lengths[1:]) > (_LONGEST - lengths[0]) // 2:
            return None
        # By place and not by token: a text that holds a marker itself must not be taken for a part.
        starts = (0, lengths[0], lengths[0] + lengths[1])
        inside = [part.index(marker) for part, marker in zip(parts, self._marker_ids, strict=True)]
        return [*chain(*parts)], [start + at for start, at in zip(starts, inside, strict=True)]

    @torch.inference_mode()
    def _score(self, rows: list[Any]) -> NDArray[np.float64]:
        ids = pad([row for row, _ in rows], self.tokenizer.pad_token_id, left=False)
        mask = pad([[1] * len(row) for row, _ in rows], 0, left=False)
        markers = torch.tensor([where for _, where in rows])
        scores = self.model(*(array.to(self.device) for array in (ids, mask, markers)))
        return np.asarray(scores.double().cpu().numpy())
