"""Hold the guide's own words, by section, for what a search decides.

From "A Guide to LSTM Hyperparameter Tuning for Optimal Model Training"; section 0 is its
conclusion.
"""

from __future__ import annotations

Sentence = tuple[int, str]

BEGIN: Sentence = (
    0,
    "Start with sensible defaults and fine-tune based on validation performance.",
)
OWN_AXES: Sentence = (0, "Start with sensible defaults and fine-tune […].")
UNITS: Sentence = (1, "More units capture complex patterns but can lead to overfitting.")
LAYERS: Sentence = (1, "More layers improve feature extraction but increase computational cost.")
FEWER_LAYERS: Sentence = (1, "If overfitting occurs, reduce layers or add regularization.")
BATCH: Sentence = (2, "Try batch sizes of 32, 64, and 128 and compare performance.")
RATE: Sentence = (3, "Use 0.0001–0.01 depending on dataset complexity.")  # noqa: RUF001
RATE_TOO_HIGH: Sentence = (3, "Too high: Training is unstable.")
SCHEDULE: Sentence = (3, "Use learning rate schedules (decay) to improve convergence.")
OPTIMIZER: Sentence = (4, "Start with Adam and switch if needed.")
RMSPROP: Sentence = (4, "If experiencing unstable gradients, try RMSprop.")
DROPOUT: Sentence = (5, "Start with 0.2 and increase if overfitting occurs.")
L2: Sentence = (5, "Start with L2 regularization (0.0001 - 0.001).")
LENGTH: Sentence = (6, "Experiment to find the optimal balance.")
TOO_FEW_EPOCHS: Sentence = (7, "Too few epochs → Underfitting.")
EARLY_STOPPING: Sentence = (
    7,
    "Use early stopping to stop training when validation loss stops improving.",
)
