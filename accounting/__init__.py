"""The privacy of a run: mechanisms, composition, calibration, the ledger and keyed randomness. Knows no training."""
