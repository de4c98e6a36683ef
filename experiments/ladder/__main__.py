"""``python -m duelbench.experiments.ladder play --out FOLDER`` and ``… tell --runs FOLDER``."""

from duelbench.experiments.comparison.command import main
from duelbench.experiments.ladder.sweep import LADDER_STUDY

if __name__ == "__main__":
    main(LADDER_STUDY)
