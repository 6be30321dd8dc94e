"""A benchmark run: the run folder, generation, evaluation, the guidance sweep and its Pareto front."""
