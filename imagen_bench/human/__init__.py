"""Human evaluation: blind rating sheets, reading filled ones back, and the statistics of the answers."""
