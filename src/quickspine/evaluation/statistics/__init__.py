"""Intervals, paired tests, what a claim needs, and the power of a comparison."""
