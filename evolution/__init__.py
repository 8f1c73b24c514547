"""Private Evolution and Sim-PE: synthesis without training on sensitive images.

A population of candidates is moved towards the sensitive images by a noisy histogram a round: every sensitive image
votes for the candidate most like it (Lin et al. 2024, Algorithm 2; Lin et al. 2025 for simulators).
"""
