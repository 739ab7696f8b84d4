"""A network as a target sees it: distinct layers with their kernels, and the graph that plans are made for."""
