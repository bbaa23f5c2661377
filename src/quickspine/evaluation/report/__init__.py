"""What people read of an evaluation: `report.html`, `model-card.md` and the files in `plots/`."""
