"""Programs that a model wrote run here, where they can read the standard library and do nothing else."""
