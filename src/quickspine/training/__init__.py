"""The loop that treats both heads alike, and what it needs: devices, schedules, model files."""
