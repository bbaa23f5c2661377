"""The front doors: one short module a DVC stage."""
