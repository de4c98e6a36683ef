"""``python -m duelbench.experiments.biased_judge --out FOLDER``."""

from duelbench.experiments.biased_judge.study import BIASED_JUDGE
from duelbench.experiments.comparison.command import main_arms

if __name__ == "__main__":
    main_arms(BIASED_JUDGE)
