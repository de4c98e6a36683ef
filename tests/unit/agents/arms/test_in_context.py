"""The language model that plays in context: what it is told, how it is read, and that it plays what it says."""

import json
import shutil

import numpy as np
import pytest
import torch
from chat_server import chat_server, completion
from transformers import AutoModelForCausalLM, AutoTokenizer

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.duel_text import NAMES, Told, demonstrate, question, read, tell, upper_bounds
from duelbench.agents.arms.in_context import InContext, InContextConfig
from duelbench.chat.local import LocalChat
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

ARMS = 4


def setup(rows=2, arms=ARMS, seed=0):
    return ArmSetup(rows=rows, arms=arms, dim=0, labels=50, rng=np.random.default_rng(seed))


def told_of(duels, window=20):
    wins = np.zeros((ARMS, ARMS))
    for first, second, feedback in duels:
        wins[first, second] += feedback
        wins[second, first] += 1.0 - feedback
    return Told(wins, wins + wins.T, duels[-window:])


DUELS = [(0, 1, 1.0), (2, 1, 0.0), (0, 2, 0.5), (1, 0, 0.0), (0, 0, 1.0)]


class Scripted:
    """A chat model that gives the replies it was made with, round by round."""

    def __init__(self, *rounds):
        self.rounds, self.prompts = list(rounds), []

    def complete(self, prompts, rng):
        self.prompts.append(prompts)
        return self.rounds.pop(0)


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ("B C", (0, 1)),
        ("D, B.", (2, 0)),
        ("I would take F and then C next, not B", (3, 1)),
        ("**C** vs _D_", (1, 2)),
        ("C C", (1, 1)),
        ("C", None),
        ("", None),
        ("A B", None),  # A is no option
        ("G B", None),  # nor is G among four
        ("BC", None),
        ("Because Doing it", None),
        ("b c", None),
        ("B's C", None),
    ],
)
def test_a_reply_names_the_first_two_options_in_it(reply, pair):
    assert read(reply, ARMS) == pair


def test_every_pair_is_read_as_it_is_written():
    for i in range(len(NAMES)):
        assert read(f"{NAMES[i]} {NAMES[-1 - i]}", len(NAMES)) == (i, len(NAMES) - 1 - i)


def test_a_raw_history_tells_the_last_duels_in_order():
    lines = ["B beat C", "C beat D", "B and D tied", "B beat C", "B beat B"]
    assert tell(told_of(DUELS), "raw").splitlines()[1:] == lines
    assert tell(told_of(DUELS, window=2), "raw").splitlines()[1:] == lines[-2:]


def test_a_summary_counts_arms_and_pairs_without_self_duels():
    assert tell(told_of(DUELS), "summary").splitlines()[1:] == [
        "B: won 2.5 of 3",
        "C: won 1 of 3",
        "D: won 0.5 of 2",
        "B against C: won 2 of 2",
        "B against D: won 0.5 of 1",
        "C against D: won 1 of 1",
    ]


def test_a_guide_has_the_bounds_of_the_formula():
    assert tell(told_of(DUELS), "guided").splitlines()[1:] == [
        f"B: won 0.83 of 3, upper bound {2.5 / 3 + np.sqrt(0.5 * np.log(4) / 3):.2f}",
        f"C: won 0.33 of 3, upper bound {1 / 3 + np.sqrt(0.5 * np.log(4) / 3):.2f}",
        f"D: won 0.25 of 2, upper bound {0.25 + np.sqrt(0.5 * np.log(4) / 2):.2f}",
        "F: never tried",
    ]
    assert upper_bounds(np.zeros(2), np.zeros(2)).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("history", ["raw", "summary", "guided"])
def test_before_the_first_duel_there_is_nothing_to_tell(history):
    assert tell(told_of([]), history) == "There are no results yet."


def test_demonstrations_name_the_best_arm_twice_and_follow_the_generator():
    texts = [demonstrate(40, ARMS, "summary", 20, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    examples = texts[0].split("Example. ")[1:]
    assert len(examples) == 40
    best = [example.split("Best answer: ")[1].split() for example in examples]
    assert all(first == second for first, second in best)
    won = sum(f"\n{name}: won 0 of" not in example for (name, _), example in zip(best, examples, strict=True))
    assert won >= 38  # the best arm hardly ever loses all of its eight duels
    assert question(ARMS, "history", "Example. x\n\n").startswith("Example. x\n\nThere are 4 options: B, C, D, F.")


def test_it_plays_what_the_model_names_and_tells_each_row_its_own_duels():
    agent = InContext(setup(), InContextConfig(history="raw", window=2))
    agent.chat = Scripted(["B C", "D F"], ["C C", "F D"], ["B B", "B B"], ["B B", "B B"])
    for feedback in ([1.0, 0.0], [0.5, np.nan], [1.0, 1.0]):
        firsts, seconds = agent.propose({})
        agent.update({}, firsts, seconds, np.array(feedback))
    agent.propose({})
    assert [pair.tolist() for pair in (firsts, seconds)] == [[0, 0], [0, 0]]
    asked = agent.chat.prompts
    assert "There are no results yet." in asked[0][0] and "There are no results yet." in asked[0][1]
    assert "B beat C\n" in asked[1][0] and "F beat D\n" in asked[1][1]
    assert "C and C tied\nB beat B\n" in asked[3][0] and "F beat D\nB beat B\n" in asked[3][1]
    assert "B beat C" not in asked[3][0]  # out of the window


def test_a_reply_that_names_no_pair_is_counted_and_answered_at_random():
    rounds, rows = 300, 3
    agent = InContext(setup(rows=rows), InContextConfig())
    agent.chat = Scripted(*([["B C", "no idea", "C"]] * rounds))
    seen = np.zeros((rows, ARMS, ARMS))
    for _ in range(rounds):
        firsts, seconds = agent.propose({})
        seen[np.arange(rows), firsts, seconds] += 1
    assert agent.measures()["parse_failures"].tolist() == [0.0, 1.0, 1.0]
    assert seen[0, 0, 1] == rounds
    off = ~np.eye(ARMS, dtype=bool)
    assert np.trace(seen[1]) == 0 and (np.abs(seen[1:, off] - rounds / 12) < 5 * np.sqrt(rounds / 12)).all()


def test_the_likeliest_pair_is_played_or_a_sample_of_the_pairs():
    class Scored:
        def log_likelihoods(self, prompts, answers):
            assert answers == ["B B", "B C", "B D", "B F", "C C", "C D", "C F", "D D", "D F", "F F"]
            scores = np.full((len(prompts), len(answers)), -50.0)
            scores[0, 5], scores[1, [0, 8]] = -1.0, np.log([0.25, 0.75])
            return scores

    agent = InContext(setup(), InContextConfig(choice="likelihood"))
    agent.chat = Scored()
    firsts, seconds = agent.propose({})
    assert firsts.tolist() == [1, 2] and seconds.tolist() == [2, 3] and agent.measures() == {}
    sampled = InContext(setup(), InContextConfig(choice="likelihood", temperature=1.0))
    sampled.chat = Scored()
    pairs = [tuple(int(arms[1]) for arms in sampled.propose({})) for _ in range(400)]
    assert set(pairs) == {(0, 0), (2, 3)} and pairs.count((2, 3)) / 400 == pytest.approx(0.75, abs=0.09)


def long_reader(llama, folder):
    """The random Llama for long prompts: its positions are rotations, and any number of them will do."""
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    return folder


def test_likelihoods_are_those_of_the_plain_model(any_model, float32):
    chat, answers = LocalChat(str(any_model), max_new_tokens=16), ["B C", "C", "the fox in the rain"]
    scores = chat.log_likelihoods(["a sad line", "x"], answers)
    model = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(any_model)
    for row, prompt in enumerate(["a sad line", "x"]):
        start = tokenizer(f"<s><user>{prompt}<reply>", add_special_tokens=False)["input_ids"]
        for column, text in enumerate(answers):
            reply = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            with torch.no_grad():
                logits = model(torch.tensor([start + reply])).logits[0, len(start) - 1 : -1].log_softmax(-1)
            expected = logits.gather(1, torch.tensor(reply)[:, None]).sum().item()
            assert scores[row, column] == pytest.approx(expected, abs=1e-3)


def test_greedy_replies_are_those_of_the_plain_model(any_model):
    chat = LocalChat(str(any_model), max_new_tokens=6)
    replies = chat.complete(["a sad line", "x"], np.random.default_rng(0))
    model = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(any_model)
    ends = {tokenizer.eos_token_id, *model.generation_config.eos_token_id}
    for prompt, reply in zip(["a sad line", "x"], replies, strict=True):
        ids = tokenizer(f"<s><user>{prompt}<reply>", add_special_tokens=False)["input_ids"]
        drawn = []
        while len(drawn) < 6 and not (drawn and drawn[-1] in ends):
            with torch.no_grad():
                drawn.append(int(model(torch.tensor([ids + drawn])).logits[0, -1].argmax()))
        assert reply == tokenizer.decode(drawn, skip_special_tokens=True).strip()


def run(tmp_path, labels=12, **options):
    spec = RunSpec(
        env="MatrixDuel-v0",
        agent="in_context",
        seed=0,
        labels=labels,
        batch=1,
        judging=Judging(every=labels),
        lockstep=2,
        env_kwargs={"matrix": "bernoulli", "arms": ARMS, "options": {"gap": 1.0}},
        agent_options=options,
    )
    with np.load(run_lockstep(spec, tmp_path) / "curves.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("options", [{"temperature": 1.0}, {"choice": "likelihood"}], ids=str)
def test_a_model_on_this_machine_plays_a_run_and_the_same_one_again(llama, tmp_path, options):
    folder = long_reader(llama, tmp_path / "model")
    one, two = (run(tmp_path / name, labels=4, model=str(folder), demonstrations=1, **options) for name in "ab")
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert ("parse_failures" in one) == ("choice" not in options)


def test_a_model_behind_an_endpoint_plays_a_run_and_its_failures_are_recorded(tmp_path):
    def follow_the_guide(number, body):
        """Name the arm with the best mean twice, an untried one beside it first; every fourth time say nothing."""
        lines = [line.split(":") for line in body["messages"][0]["content"].splitlines() if ": won" in line]
        untried = [line[0] for line in body["messages"][0]["content"].splitlines() if line.endswith("never tried")]
        best = max(lines, key=lambda line: float(line[1].split()[1]))[0] if lines else "B"
        named = f"{best} {untried[0]}" if untried else f"{best} {best}" if lines else "B C"
        return 200, completion("hm" if number % 4 == 3 else named)

    with chat_server(follow_the_guide) as server:
        curves = run(tmp_path, labels=40, model=f"{server.url}#any", history="guided")
    assert len(server.bodies) == 80 and server.bodies[0]["model"] == "any"
    assert curves["parse_failures"][:, -1].mean() == 0.25
    uniform = 40 * 0.5 * 3 / 4
    assert curves["cumulative_average_regret"][:, -1].mean() < 0.7 * uniform
    assert curves["best_arm_rate"][:, -1].mean() == 1.0


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="no likelihoods"):
        InContextConfig(model="http://localhost/v1#any", choice="likelihood")
    with pytest.raises(ValueError, match="window must be"):
        InContextConfig(window=0)
    with pytest.raises(ValueError, match="names for 20 arms"):
        InContext(setup(arms=21))
