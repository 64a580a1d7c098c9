"""Problems and solutions in the formats of benchmark sets and of other solvers, a file per format."""
