"""What the trained models are worth: metrics, statistics, figures, the report."""
