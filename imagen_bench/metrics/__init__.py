"""Scores of images: feature extractors, Fréchet distance, CLIP score and their intervals."""
