"""A sampler in another process: a Ray actor that holds a copy of the policy and draws from it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.cluster import answer, bundle, connect, ray, start
from duelbench.policies.samplers.base import Drawn


class RemoteSampler:
    """A ``Sampler`` whose draws are made by a generator actor.

    The random generator travels with each request and comes back advanced, so that on a CPU the draws are those of the
    sampler inside, bit for bit. Weights travel through the object store, once between a change and the next draw
    from the policy. A dead generator is not started again: it would draw from untrained weights.

    Args:
        weights: the trained weights by name.
        make: makes the generator's own copy of the policy, in the actor's process.
    """

    def __init__(self, weights: Callable[[], dict[str, Tensor]], make: Callable[[], Any]) -> None:
        connect()
        self._weights, self._stale = weights, False
        self._generator = start(Generator, bundle("generator"), torch.get_num_threads(), make)

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, *, reference: bool, greedy: bool
    ) -> Drawn:
        """See ``Sampler.draw``."""
        if self._stale and not reference:
            stored = ray.put({name: tensor.cpu().numpy() for name, tensor in self._weights().items()})
            answer(self._generator.load.remote(stored))
            self._stale = False
        drawn, state = answer(self._generator.draw.remote(prompts, lengths, n, rng, reference, greedy))
        rng.bit_generator.state = state
        return drawn

    def changed(self) -> None:
        """The generator's weights are those of before."""
        self._stale = True


@ray.remote
class Generator:
    """Draws responses from a policy of its own; ``threads`` of torch as many as the learner's draw the same."""

    def __init__(self, threads: int, make: Callable[[], Any]) -> None:
        torch.set_num_threads(threads)
        # made by the first call, which can raise what stops it: a constructor could only die
        self._policy = functools.cache(make)

    def load(self, weights: dict[str, NDArray[np.float32]]) -> None:
        """Take over the trained weights."""
        self._policy().load_state_dict({name: torch.tensor(array) for name, array in weights.items()})

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, reference: bool, greedy: bool
    ) -> tuple[Drawn, dict[str, Any]]:
        """What the sampler draws (``Sampler.draw``), and the state that it left the generator in."""
        drawn = self._policy().sampler.draw(prompts, lengths, n, rng, reference=reference, greedy=greedy)
        return drawn, dict(rng.bit_generator.state)
