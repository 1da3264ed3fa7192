"""Does stock vLLM give the same answers as this package, for NVLM-D in NVIDIA's layout? `make interop`."""
