"""The stages of a run by name, with what each does. The stages themselves, in `launch/stages/`, need torch."""

from __future__ import annotations

STAGE_SUMMARIES = {
    "classifier": "Trains the semantic classifier on the public images.",
    "query": "Asks which public categories the sensitive images resemble, with noise (private).",
    "query_without_noise": "The same without noise, as a ceiling. NOT PRIVATE.",
    "select": "Selects public categories by the query's answer.",
    "select_random": "Selects as many public categories at random.",
    "select_all": "Keeps every public image with its own category.",
    "select_by_name": "Selects public categories by the names of the sensitive ones.",
    "select_evolved": "Selects images that are similar to the candidates of Private Evolution.",
    "pretrain": "Trains the generator on the selection.",
    "finetune": "Trains the generator on the sensitive images with DP-SGD (private).",
    "finetune_without_noise": "The same with ordinary training, as a ceiling. NOT PRIVATE.",
    "evolve": "Evolves candidates by the noisy votes of the sensitive images (private).",
    "synthesize": "Draws the synthetic images from the generator.",
    "publish_selection": "Releases selected public images instead.",
    "publish_evolved": "Releases images similar to the candidates of Private Evolution instead.",
    "publish_voted": "The same, labelled by the votes for the candidates.",
    "publish_taught": "The same, labelled by the privately trained teacher.",
    "take_sensitive": "Takes sensitive images instead, as a ceiling. NOT PRIVATE.",
    "evaluate": "Scores the synthetic images.",
    "report": "Writes the report.",
}
