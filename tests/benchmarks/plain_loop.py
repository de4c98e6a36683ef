"""The loop one would write first: transformers' generate, padded forward passes, DPO, AdamW. Nothing is shared.

It is what speed claims are measured against, so it is written well but plainly: float32, the KV cache of generate,
left padding, one batched forward pass for chosen and rejected together, a fused optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoTokenizer

Judge = Callable[[str, str, str], bool]


class PlainLoop:
    """Online DPO, and its SEA-like variant, on one model folder."""

    def __init__(self, model: str, *, max_new_tokens: int = 32, learning_rate: float = 1e-5, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
        self.policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.policy.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        )
        self.max_new_tokens = max_new_tokens
        width = 2 * self.policy.config.hidden_size
        self.heads = [_head(width) for _ in range(20)]
        parameters = [p for head in self.heads for p in head.parameters()]
        self.head_optimizer = torch.optim.Adam(parameters, lr=1e-3, weight_decay=5e-5)
        self.buffer: list[tuple[Tensor, Tensor]] = []

    def online_round(self, prompts: Sequence[str], judge: Judge) -> float:
        """Two samples a prompt are the duel; returns the loss."""
        ids, mask, texts = self.generate(prompts, 2)
        first, second = torch.arange(len(prompts)) * 2, torch.arange(len(prompts)) * 2 + 1
        return self.learn(ids, mask, first, second, self.winners(prompts, texts, first, second, judge))

    def sea_round(self, prompts: Sequence[str], judge: Judge, candidates: int = 16, steps: int = 5) -> float:
        """A member's favourite among the candidates meets the one that the ensemble is least sure about."""
        ids, mask, texts = self.generate(prompts, candidates)
        features = self.features(ids, mask)  # (B * M, 2 d)
        with torch.no_grad():
            rewards = torch.stack([head(features).squeeze(-1) for head in self.heads])  # (E, B * M)
        rewards = rewards.view(len(self.heads), len(prompts), candidates)
        best = rewards[torch.randint(len(self.heads), (len(prompts),)), torch.arange(len(prompts))].argmax(-1)
        gap = rewards - rewards[:, torch.arange(len(prompts)), best][:, :, None]
        start = torch.arange(len(prompts)) * candidates
        first, second = start + best, start + gap.var(0).argmax(-1)
        winner = self.winners(prompts, texts, first, second, judge)
        loss = self.learn(ids, mask, first, second, winner)
        chosen, rejected = torch.where(winner, first, second), torch.where(winner, second, first)
        self.buffer += list(zip(features[chosen], features[rejected], strict=True))
        for _ in range(steps):
            self.reward_step()
        return loss

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], n: int) -> tuple[Tensor, Tensor, list[str]]:
        """Prompts with n sampled responses each, (B * n, T); which tokens are response tokens; the texts."""
        turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
        rendered = [self.tokenizer.apply_chat_template(t, tokenize=False, add_generation_prompt=True) for t in turns]
        encoded = self.tokenizer(rendered, padding=True, return_tensors="pt", add_special_tokens=False)
        self.padding = (1 - encoded["attention_mask"]).sum(1).repeat_interleave(n)
        ids = self.policy.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            do_sample=True,
            top_k=0,
            num_return_sequences=n,
            max_new_tokens=self.max_new_tokens,
        )
        width = encoded["input_ids"].shape[1]
        ended = (ids == self.tokenizer.eos_token_id).long()
        ended[:, :width] = 0
        mask = (ended.cumsum(1) - ended) == 0  # the end-of-sequence token itself counts
        mask[:, :width] = False
        return ids, mask, self.tokenizer.batch_decode(ids[:, width:], skip_special_tokens=True)

    def winners(
        self, prompts: Sequence[str], texts: Sequence[str], first: Tensor, second: Tensor, judge: Judge
    ) -> Tensor:
        """Whether the first response of each duel is preferred, (B,)."""
        duels = zip(prompts, first.tolist(), second.tolist(), strict=True)
        return torch.tensor([judge(prompt, texts[i], texts[j]) for prompt, i, j in duels])

    def learn(self, ids: Tensor, mask: Tensor, first: Tensor, second: Tensor, winner: Tensor) -> float:
        """One DPO step."""
        rows = torch.cat([torch.where(winner, first, second), torch.where(winner, second, first)])
        with torch.no_grad():
            reference = self.log_probs(self.reference, ids[rows], mask[rows], self.padding[rows])
        policy = self.log_probs(self.policy, ids[rows], mask[rows], self.padding[rows])
        chosen, rejected = (policy - reference).chunk(2)
        loss = -logsigmoid(0.1 * (chosen - rejected)).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def log_probs(self, model: nn.Module, ids: Tensor, mask: Tensor, padding: Tensor) -> Tensor:
        """Summed log-probability of each row's response, (N,)."""
        logits = model(input_ids=ids, **self.layout(ids, padding)).logits[:, :-1]
        scores = logits.log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(2)
        return (scores * mask[:, 1:]).sum(1)

    @torch.no_grad()
    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The reference's last hidden state at each response's end, and its mean over the response, (N, 2 d)."""
        output = self.reference.model(input_ids=ids, **self.layout(ids, self.padding))
        hidden, last = output.last_hidden_state, (mask * torch.arange(mask.shape[1])).argmax(1)
        mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.cat([hidden[torch.arange(len(ids)), last], mean], -1)

    def layout(self, ids: Tensor, padding: Tensor) -> dict[str, Tensor]:
        """Attention mask and positions of left-padded rows."""
        place = torch.arange(ids.shape[1]) - padding[:, None]
        return {"attention_mask": (place >= 0).long(), "position_ids": place.clamp(min=0)}

    def reward_step(self) -> None:
        """One Adam step of every head on 128 pairs drawn from the buffer."""
        rows = torch.randperm(len(self.buffer))[:128].tolist()
        chosen = torch.stack([self.buffer[i][0] for i in rows])
        rejected = torch.stack([self.buffer[i][1] for i in rows])
        losses = [-logsigmoid(head(chosen) - head(rejected)).mean() for head in self.heads]
        self.head_optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).mean().backward()
        self.head_optimizer.step()


def _head(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1))
