"""``python -m duelbench.experiments.tuning play --out FOLDER`` and ``… tell --runs FOLDER``."""

from duelbench.experiments.comparison.command import main
from duelbench.experiments.tuning.study import TUNING

if __name__ == "__main__":
    main(TUNING)
