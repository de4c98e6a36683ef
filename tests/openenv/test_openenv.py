"""The text environments behind OpenEnv's interface: its own validator and its own client, against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from labelling import free_port, reachable

pytest.importorskip("openenv", reason="no openenv here: `make test-openenv` installs it")
pytestmark = pytest.mark.filterwarnings("ignore")  # of packages whose warnings are not ours

from duelbench.openenv.client import DuelClient  # noqa: E402
from duelbench.openenv.messages import DuelAction  # noqa: E402


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    options = ["--port", str(port), "--env-options", '{"horizon": 3}']
    process = subprocess.Popen([sys.executable, "-m", "duelbench.openenv", *options])
    assert reachable(port, alive=lambda: process.poll() is None, path="/health")
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_the_validator_of_openenv_finds_nothing(url: str) -> None:
    from openenv.cli._validation import validate_running_environment

    report = validate_running_environment(url)
    assert report["passed"], [criterion for criterion in report["criteria"] if not criterion["passed"]]


def play(client: Any, seed: int, first: str = "A fox ran home.") -> list[tuple[Any, ...]]:
    result = client.reset(seed=seed)
    seen = [(result.observation.prompt, None, False)]
    while not result.done:
        result = client.step(DuelAction(first=first, second="The sea was calm."))
        seen.append((result.observation.prompt, result.reward, result.done))
    return seen


def test_a_client_plays_an_episode_and_the_seed_decides_it(url: str) -> None:
    with DuelClient(url).sync() as client:
        one, again, other = play(client, 1), play(client, 1), play(client, 2)
        state = client.state()
    assert one == again != other
    assert len(one) == 4 and {reward for _, reward, _ in one[1:]} <= {0.0, 0.5, 1.0}
    assert (state.labels, state.horizon, state.step_count) == (3, 3, 3)


def test_two_identical_responses_cost_no_label_and_pay_nothing(url: str) -> None:
    with DuelClient(url).sync() as client:
        client.reset(seed=1)
        result = client.step(DuelAction(first="same", second="same"))
        assert result.reward is None and result.observation.verdict == "skipped" and client.state().labels == 0


def test_sessions_are_apart_from_each_other(url: str) -> None:
    with DuelClient(url).sync() as one, DuelClient(url).sync() as other:
        first = one.reset(seed=1).observation.prompt
        alone = play(other, 1)
        assert one.state().step_count == 0 and other.state().step_count == 3
        rest = [one.step(DuelAction(first="A fox ran home.", second="The sea was calm.")) for _ in range(3)]
    assert [first, *(result.observation.prompt for result in rest)] == [prompt for prompt, _, _ in alone]


@pytest.mark.parametrize("wrong", [{"first": 1, "second": 2}, {"first": "a"}, {"first": "a", "second": "b", "more": 1}])
def test_a_wrong_action_is_refused(url: str, wrong: dict[str, Any]) -> None:
    from openenv.core.generic_client import GenericEnvClient

    with GenericEnvClient(url).sync() as client:
        client.reset(seed=1)
        with pytest.raises(Exception, match=r"two texts|Invalid message"):
            client.step(wrong)


def test_other_environments_are_refused() -> None:
    from duelbench.errors import UsageError
    from duelbench.openenv.environment import DuelEnvironment

    with pytest.raises(UsageError, match="environments with texts"):
        DuelEnvironment("MatrixDuel-v0")
