"""Programs that the bench runs in processes of their own, since they set up the whole process."""
