"""The semantic query: which public categories the sensitive images resemble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from accounting.digest import digest
from accounting.plan import SEMANTIC_QUERY
from accounting.statements import noise_text
from configs.errors import UserError
from configs.files import DAMAGED, atomic_json, read_json
from launch.run.context import Context
from launch.run.stage import stage
from semantics.query import CheckedQuery, noisy_semantic_histogram, semantic_histogram


@stage(
    needs=("classifier",),
    keys=("sensitive", "query", "privacy"),
    reads_sensitive=True,
    shared=True,
    charged=True,
    makes=("stages/query/histogram.json",),
)
def query(context: Context) -> str:
    """Noisy semantic histogram of the sensitive set.

    Source: PrivImage §3.3.

    Sensitive: reads sensitive images; charged as `semantic query`.
    """
    path = context.folder("query") / "histogram.json"
    mechanism = context.plan.mechanism(SEMANTIC_QUERY)
    noise = noise_text(mechanism.noise_multiplier)
    line = f"noise multiplier {noise}, {context.config.query.semantics} semantics per image"
    ranks = context.ranks
    if ranks.broadcast(
        path.is_file()
    ):  # answered by an earlier process: the answer is used, and the query never asked again
        answer = read_answer(context)
        context.ledger.require(answer["ledger_head"])  # the ledger must contain its charge
        if answer["fingerprint"] != context.fingerprints["query"]:
            raise UserError(f"'{path}' answers another query. Start again under another run.name.")
        if ranks.first:
            context.ledger.confirm(SEMANTIC_QUERY, 1, digest_of(answer))
        return line
    if context.config.query.reuse is not None:
        if ranks.first:
            take_answer(context, path)
        ranks.broadcast(None)
        return f"{line}, taken over"
    asked = tried_query(context)  # before anything is charged
    access = context.charge(mechanism, "query")
    if access.published():
        raise UserError(
            f"the ledger says that the semantic query was answered, but '{path}' is missing. Its budget is spent: "
            "restore the file from a copy, or start again under another run.name."
        )
    histogram = noisy_semantic_histogram(
        asked,
        context.sensitive,
        access,
        per_category=context.config.query.per_category,
        share=ranks.share,
        over_ranks=ranks.all_reduce,
    )
    answer = {
        "histogram": histogram.tolist(),
        "fingerprint": context.fingerprints["query"],
        "ledger_head": access.ledger_head,
    }
    if ranks.first:
        atomic_json(path, answer)
        access.progress(1, digest_of(answer))
    return line


def tried_query(context: Context) -> CheckedQuery:
    """The query's function, the trained classifier, after a trial on made-up images in every process.

    Touches no sensitive data.

    Raises:
        UserError: in all processes, if the trial fails in one, or if their answers for the same image differ: if a
            record is left out, others move to other processes too.
    """
    config, ranks = context.config, context.ranks
    query, problem = None, ""
    try:
        query = CheckedQuery(context.trained_classifier(), config.query.semantics, config.image.shape)
    except UserError as error:
        problem = str(error)
    gathered = ranks.all_gather((problem, query.fingerprint if query else ""))
    problems = [problem for problem, _ in gathered if problem]
    if query is None or problems:
        raise UserError(problems[0])
    if len(set(gathered)) > 1:
        raise UserError(
            "query: the processes of this job answer differently for the same image, so one record could change the "
            "answers of others. Start them on machines and devices of one kind, or use one process."
        )
    return query


def digest_of(answer: dict[str, Any]) -> str:
    """The digest under which the ledger knows a histogram."""
    return digest([np.asarray(answer["histogram"], dtype=np.int64)])


def take_answer(context: Context, path: Path) -> None:
    """Take over the answer of another run, with its charge. Touches no sensitive data.

    Args:
        path: where the answer goes.

    Raises:
        UserError: if the answer is missing, damaged, exact, or to other public categories.
    """
    answer = context.setup.answers.of("query")
    source = context.config.query.reuse
    theirs = answer.folder / "histogram.json"
    found = read_json(theirs, f"Give query.reuse another run than '{source}'.")
    if "notice" in found:  # an exact histogram
        raise UserError(f"query.reuse: {found['notice']} It cannot be taken over ('{theirs}').")
    try:
        answer.require(found.get("ledger_head"), theirs, digest_of(found))
    except DAMAGED as error:
        raise UserError(f"query.reuse: '{theirs}' is damaged. Give another run than '{source}'.") from error
    categories = len(context.public_source.class_names)
    if {len(row) for row in found["histogram"]} != {categories}:
        raise UserError(f"query.reuse: the answer in '{source}' is not one of {categories} public categories.")
    context.take_over(answer)
    kept = {"fingerprint": context.fingerprints["query"], "ledger_head": context.ledger.head}
    atomic_json(path, {"histogram": found["histogram"], **kept})


@stage(
    role="query",
    needs=("classifier",),
    keys=("sensitive", "query"),
    reads_sensitive=True,
    shared=True,
    makes=("stages/query/histogram.json",),
)
def query_without_noise(context: Context) -> str:
    """Exact semantic histogram of the sensitive set, for non-private ceilings.

    Sensitive: reads sensitive images without noise; the result is NOT PRIVATE.
    """
    settings = context.config.query
    histogram = semantic_histogram(
        tried_query(context),
        context.sensitive,
        per_category=settings.per_category,
        share=context.ranks.share,
        over_ranks=context.ranks.all_reduce,
    )
    if context.ranks.first:
        notice = context.guarantee.notice
        answer = {"notice": notice, "histogram": histogram.tolist(), "ledger_head": context.ledger.head}
        atomic_json(context.folder("query") / "histogram.json", answer)
    return f"NOT PRIVATE, no noise; {settings.semantics} semantics per image"


def read_answer(context: Context) -> dict[str, Any]:
    """The query's answer (`histogram`), with the `fingerprint` and `ledger_head` under which it was made."""
    advice = "Its budget is spent: restore the file from a copy, or start again under another run.name."
    return read_json(context.folder("query") / "histogram.json", advice)


def read_histogram(context: Context) -> np.ndarray:
    """The query's histogram, int64 [rows, public categories]. It is private if the query has noise."""
    return np.asarray(read_answer(context)["histogram"], dtype=np.int64)
