"""Private Evolution and Sim-PE: synthesis without training on sensitive images.

A population of candidates is moved towards the sensitive images, by one noisy histogram per round: every sensitive
image votes for the candidate most similar to it (Lin et al. 2024, Algorithm 2; Lin et al. 2025 for simulators).
"""
