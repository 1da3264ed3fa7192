"""Training: stages as data, one loop, exact resume. Knows neither architectures nor datasets."""
