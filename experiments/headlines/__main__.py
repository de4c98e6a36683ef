"""``python -m duelbench.experiments.headlines --out FOLDER``."""

from duelbench.experiments.comparison.command import main_arms
from duelbench.experiments.headlines.study import HEADLINES

if __name__ == "__main__":
    main_arms(HEADLINES)
