"""3×3 convolutions with a quarter of the multiplications, for training on CPUs in bfloat16."""
