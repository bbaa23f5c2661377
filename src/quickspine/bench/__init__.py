"""What the project is measured with: read by nobody else, and run by `make bench` alone."""
