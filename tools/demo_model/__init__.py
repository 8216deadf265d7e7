"""The recipe of Pippin's built-in demo model: synthetic data, training, quantization, evaluation (see README.md)."""
