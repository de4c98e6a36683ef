"""Hyper-parameters through Optuna: the space, who proposes settings, the study and what it leaves behind."""
