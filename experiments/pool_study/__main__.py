"""``python -m duelbench.experiments.pool_study play --out FOLDER`` and ``… tell --runs FOLDER``."""

from duelbench.experiments.comparison.command import main
from duelbench.experiments.pool_study.sweep import POOL_STUDY

if __name__ == "__main__":
    main(POOL_STUDY)
