"""Figures, each beside the raw limit measured in the same run: `make bench`."""
