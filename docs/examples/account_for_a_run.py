"""What a run costs, before any image is read: plan a budget, calibrate the noise, compose epsilon in two ways.

python docs/examples/account_for_a_run.py
"""

from accounting.calibration import calibrate_noise_multiplier
from accounting.composition import epsilon
from accounting.groups import group_epsilon
from accounting.mechanisms import GaussianQuery, SampledGaussian
from accounting.plan import DP_SGD, SEMANTIC_QUERY, default_delta, plan_budget
from accounting.statements import delta_text, epsilon_text, noise_text, rate_text

RECORDS = 50_000  # n is public
SEMANTICS = 5  # each image votes for 5 public categories, so one image moves the histogram by sqrt(5)
STEPS, BATCH, CLIP_NORM = 152, 16_384, 1.0
TARGET = 10.0

delta = default_delta(RECORDS)
query = GaussianQuery(name=SEMANTIC_QUERY, noise_multiplier=484, sensitivity=SEMANTICS**0.5)

# 1. A plan: DP-SGD gets the least noise that keeps the query and all steps together within the target.
plan = plan_budget(
    n=RECORDS,
    epsilon=TARGET,
    delta=delta,
    accountant="rdp",
    query=query,
    steps=STEPS,
    expected_batch=BATCH,
    clip_norm=CLIP_NORM,
)
print(f"target: epsilon {TARGET:g} at delta {delta_text(delta)} for {RECORDS} records")
for row in plan.rows():
    print(
        f"{row['name']:14} noise multiplier {noise_text(row['noise_multiplier']):>8}, "
        f"sampling rate {rate_text(row['sampling_rate'])}, steps {row['steps']}"
    )

# 2. The same noise by hand: the plan does no more than this.
noise = calibrate_noise_multiplier(
    others=[query], sampling_rate=BATCH / RECORDS, steps=STEPS, epsilon=TARGET, delta=delta, accountant="rdp"
)
assert noise == plan.mechanism(DP_SGD).noise_multiplier

# 3. Any list of mechanisms composes, by RDP or by the tighter PRV.
training = SampledGaussian(
    name=DP_SGD, noise_multiplier=noise, sampling_rate=BATCH / RECORDS, steps=STEPS, sensitivity=CLIP_NORM
)
for accountant in ("rdp", "prv"):
    print(f"epsilon by {accountant.upper()}: {epsilon_text(epsilon([query, training], delta, accountant))}")

# 4. What the same noise guarantees to a person with two images in the set.
print(f"two records together, by PRV: {epsilon_text(group_epsilon([query, training], delta, 2, 'prv'))}")
