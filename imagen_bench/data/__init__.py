"""Prompt sets, caption files, reference image sets and the training data of the bundled model."""
