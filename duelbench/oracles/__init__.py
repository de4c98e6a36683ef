"""Who answers the duels: simulated readers, reward models, LM judges, and rules of your own."""

from __future__ import annotations

from duelbench.oracles.checks import OracleError
from duelbench.oracles.function import FunctionOracle
from duelbench.oracles.registry import ORACLES, make_oracle
from duelbench.oracles.wrappers.reliable import reliable

__all__ = ["ORACLES", "FunctionOracle", "OracleError", "make_oracle", "reliable"]
