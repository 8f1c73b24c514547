"""The privacy of a run: mechanisms, composition, calibration, the ledger and keyed randomness.

Nothing here reads an image or knows how a network is trained.
"""
