#!/usr/bin/env python3
"""Prints docs/scale.md: what breaks first with many users, or many deliveries, and what to set.

    python3 tests/scale.py > docs/scale.md

Limits are published ones, each with its source; figures are measured ones, each with the command that
measures it. What is assumed is said. A test holds the page against this program.
"""

from math import ceil

# Published: users on a page, and requests a second; None: not published.
PROVIDERS = {
    "Hexclave, Stack Auth": (1_000, None),
    "Clerk": (500, 100),
    "WorkOS": (100, 100),
    "Auth0": (100, 16),
    "Supabase": (1_000, None),
}
SOURCES = [
    ("Clerk: 1000 requests in 10 seconds", "https://clerk.com/docs/guides/how-clerk-works/system-limits"),
    ("WorkOS: 6000 requests a minute", "https://workos.com/docs/reference/rate-limits"),
    ("Auth0: 2 to 16 requests a second, by plan", "https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy"),
    ("Lambda: 1000 instances of an account at once, and fewer of a new one; 1000 more in 10 seconds", "https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html"),
    ("Postgres: no value is larger than 1 GB", "https://www.postgresql.org/docs/current/limits.html"),
    ("Neon: 97 connections to the smallest compute, 10 000 through its pooler", "https://neon.com/docs/connect/connection-pooling"),
]

# Set by template.yaml.
RUN_SECONDS = 900
MEMORY_MB = 512
# Of the code: a run keeps a hash of 8 bytes for each user it has met, in a table that is between half
# and wholly full, and twice as bytes when it saves its place.
KEPT_BYTES = 8
MOST_BYTES = 37
BASE_MB = 25

# Measured by `make bench`; a loaded machine of two cores, so on the safe side.
MEASURED = "27 November 2026"
COMPARED_A_SECOND = 65_000
DIGESTS_A_SECOND = 125_000
DELIVERY_MS = {"statement": 0.28, "hint": 0.52}  # of Postgres' time

# Assumed.
PAGE_SECONDS = 0.3  # until the provider answers with a page
READ_SECONDS = 0.1  # and with one user
DELIVERY_SECONDS = 0.05  # the rest of a delivery, with the way to Postgres and back
ROW_BYTES = 2_500  # of the table with its indexes

SIZES = [1_000_000, 10_000_000, 100_000_000]
BURST = 1_000_000


def number(count):
    return f"{count:,}".replace(",", " ")


def spoken(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def walk_seconds(users, page_users, rate):
    page = max(PAGE_SECONDS, page_users / COMPARED_A_SECOND, 1 / rate if rate else 0)
    return ceil(users / page_users) * page


def runs(seconds):
    count = ceil(seconds / RUN_SECONDS)
    return "1 run" if count == 1 else f"{count} runs"


def walks():
    rows = []
    for name, (page_users, rate) in PROVIDERS.items():
        seconds = [walk_seconds(users, page_users, rate) for users in SIZES]
        rows.append([name, *[f"{spoken(each)}, {runs(each)}" for each in seconds]])
    return table(["a walk over all users", *[number(users) for users in SIZES]], rows)


def sizes():
    kept = [users * KEPT_BYTES / 1e6 for users in SIZES]
    memory = [BASE_MB + users * MOST_BYTES / 1e6 for users in SIZES]
    return table(
        ["", *[f"{number(users)} users" for users in SIZES]],
        [
            ["memory of `reconcile`, at most", *[f"{number(round(each))} MB" for each in memory]],
            ["kept between the runs of a walk", *[f"{number(round(each))} MB" for each in kept]],
            ["the table with its indexes", *[f"{users * ROW_BYTES / 1e9:g} GB" for users in SIZES]],
            ["Postgres' time for a walk, on one core", *[spoken(users / DIGESTS_A_SECOND) for users in SIZES]],
        ],
    )


def bursts():
    rate = BURST / 3600
    rows = []
    for kind, of_whom in [("statement", "Clerk, WorkOS"), ("hint", "the others")]:
        seconds = DELIVERY_SECONDS + (READ_SECONDS if kind == "hint" else 0)
        rows.append([
            f"{kind} ({of_whom})",
            f"{rate * seconds:.0f}",
            f"{rate * DELIVERY_MS[kind] / 1000:.0%} of a core",
            "0" if kind == "statement" else f"{rate:.0f}",
        ])
    return table(["a delivery is a", "instances, and connections, at once", "Postgres", "reads at the provider a second"], rows)


def page():
    limited = [(name, rate) for name, (_, rate) in PROVIDERS.items() if rate and name == "Auth0"]
    [(slow, rate)] = limited
    simulated = table(
        ["provider", "its limit", "taken at once", "found no instance", "answered, median", "99 of 100", "all taken"],
        SIMULATED,
    )
    sources = "\n".join(f"- {what}: <{source}>" for what, source in SOURCES)
    return f"""# Scale

For you who have millions of users, or expect a day on which all of them change at once. This page is
what `python3 tests/scale.py` prints: change it there.

## Many users

A walk asks for one page after the other, since each page names the next one. So what it takes is the
provider's time, {PAGE_SECONDS:g} s a page here, and not ours. A run ends after {RUN_SECONDS // 60} minutes, which is the most that
Lambda gives, and the next one goes on from there.

{walks()}

{sizes()}

| with | breaks first | set |
| --- | --- | --- |
| {number(SIZES[0])} users | nothing | `Schedule` so that the runs of a walk follow each other: `rate(15 minutes)` if a walk takes more than one |
| {number(SIZES[1])} users | the schedule: with a run every 3 hours, a walk of {ceil(walk_seconds(SIZES[1], 1_000, None) / RUN_SECONDS)} runs takes half a day; then memory, if the function is smaller than {MEMORY_MB} MB | `Schedule` to `rate(15 minutes)`, `ScheduleSeconds` to 900 |
| {number(SIZES[2])} users | memory: a run needs {BASE_MB / 1000 + SIZES[2] * MOST_BYTES / 1e9:.1f} GB; then the walk's place, which is one value in Postgres: {SIZES[2] * KEPT_BYTES / 1e6:.0f} MB of at most 1 GB, and sent at the end of each run | `MemorySize` of `Reconcile` in `template.yaml` to 4096; a provider with pages of 100 is out of reach of walks, so rely on deliveries and on WorkOS' record of events |

The walk's place sets the end, at {number(2**30 // KEPT_BYTES // 1_000_000)} million users. If you have more, split them over several projects
at the provider, each with a schema of its own.

## Many deliveries

A million deliveries in an hour are {BURST / 3600:.0f} a second.

{bursts()}

These limits are reached, in this order:

1. **Lambda's concurrency**, in a new account, which may have as few as 10 instances for all functions. What
   finds none is answered 429, and the provider sends again. Ask AWS for 1000, and set `WebhookConcurrency` to at least
   twice the instances above, so that strangers can't take them all.
2. **Postgres' connections**: one for each instance, and Neon's smallest compute has 97. Use the pooled address (Neon's `-pooler`, or
   PgBouncer in transaction mode), which `webhook` works behind. A run takes three: two for its pages, one to keep its lease.
3. **The provider's limit**, where deliveries are hints: {slow} lets {rate} reads a second through, so a million
   take {BURST / rate / 3600:.0f} hours. `webhook` answers 503 meanwhile, the provider sends again or gives up, and
   the next run finds the rest. Set `WebhookConcurrency` to twice the limit's reads a second times {READ_SECONDS:g} s,
   so that few instances wait in vain.
4. **Postgres itself**: a quarter of a core, as Neon's smallest compute has, is too little for more than
   {0.25 / DELIVERY_MS["statement"] * 1000:.0f} deliveries a second. Let it grow to one compute unit.

## Simulated

`make scale` sends deliveries at that rate for half a minute (for Auth0, 5 seconds) to as many instances
as Lambda would start, each the real program and at most 40 of them, with the simulators' rate limits on.
A delivery that is answered 503 or 429 is sent again until it is taken, and then the table is compared
with the provider. On two busy cores, which the instances, Postgres and the provider share:

{simulated}

With a limit at the provider, instances wait for it, none is free, and Lambda itself refuses what comes
then. Nothing is lost: each delivery is taken once the provider sends it again.

## What it is computed from

Measured ({MEASURED}, by `make bench` on a machine of two cores): {number(COMPARED_A_SECOND)} users a second are compared;
Postgres digests {number(DIGESTS_A_SECOND)} rows a second, and spends {DELIVERY_MS["statement"]} ms on a statement and {DELIVERY_MS["hint"]} ms on a hint.

Assumed: the provider answers with a page in {PAGE_SECONDS:g} s and with a user in {READ_SECONDS:g} s, the rest of a delivery takes
{DELIVERY_SECONDS:g} s, and a row {number(ROW_BYTES)} bytes with its indexes.

Published:

{sources}
"""


# Printed by `make scale SECONDS=30`; for Auth0, of 5 seconds.
SIMULATED = [
    ["Clerk", "no limit", "99%", "1%", "12 ms", "135 ms", "0 s later"],
    ["Hexclave, Stack Auth", "no limit", "95%", "5%", "92 ms", "174 ms", "2 s later"],
    ["Hexclave, Stack Auth", "100 reads a second", "25%", "75%", "125 ms", "1453 ms", "66 s later"],
    ["Auth0", "16 reads a second", "5%", "92%", "1414 ms", "4092 ms", "89 s later"],
]

if __name__ == "__main__":
    print(page(), end="")
