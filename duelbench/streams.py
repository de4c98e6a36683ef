"""Named random streams from one seed: what one part of a run draws never shifts what another part sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Streams:
    """A family of independent generators, one for each name.

    >>> bool((Streams(7).generator("oracle").random(3) == Streams(7).generator("oracle").random(3)).all())
    True
    >>> float(Streams(7).generator("agent").random()) == float(Streams(7).generator("oracle").random())
    False
    """

    seed: int

    def sequence(self, name: str) -> np.random.SeedSequence:
        """The seed sequence of a stream; its key is a hash of the name, so adding a stream moves no other."""
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        return np.random.SeedSequence(self.seed, spawn_key=(key & 0xFFFFFFFF, key >> 32))

    def generator(self, name: str) -> np.random.Generator:
        """A fresh generator at the start of the named stream."""
        return np.random.Generator(np.random.PCG64(self.sequence(name)))

    def integers(self, name: str, n: int) -> list[int]:
        """n seeds (< 2**31) for things that take an integer seed, e.g. the n members of a vector environment."""
        return [int(word) for word in self.sequence(name).generate_state(n, np.uint32) >> 1]
