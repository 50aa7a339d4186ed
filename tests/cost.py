#!/usr/bin/env python3
"""Prints docs/cost.md: what a deployment costs in a month.

    python3 tests/cost.py > docs/cost.md

Prices are published ones, each with its source, and figures are measured ones, each with the
command that measures it. What is assumed is said. A test holds the page against this program, and
template.yaml against the schedule that it recommends.
"""

from math import ceil

# Published prices in dollars, of us-east-1 where they differ between regions.
PRICED = "November 2026"
PRICES = {
    "Lambda, arm64, a GB-second": (0.0000133334, "https://aws.amazon.com/lambda/pricing/"),
    "Lambda, x86_64, a GB-second": (0.0000166667, "https://aws.amazon.com/lambda/pricing/"),
    "Lambda, a million requests": (0.20, "https://aws.amazon.com/lambda/pricing/"),
    "Secrets Manager, a secret for a month": (0.40, "https://aws.amazon.com/secrets-manager/pricing/"),
    "Secrets Manager, 10 000 calls": (0.05, "https://aws.amazon.com/secrets-manager/pricing/"),
    "CloudWatch, a GB of logs taken in": (0.50, "https://aws.amazon.com/cloudwatch/pricing/"),
    "CloudWatch, an alarm for a month": (0.10, "https://aws.amazon.com/cloudwatch/pricing/"),
    "CloudWatch, a custom metric for a month": (0.30, "https://aws.amazon.com/cloudwatch/pricing/"),
    "CloudWatch, a dashboard for a month": (3.00, "https://aws.amazon.com/cloudwatch/pricing/"),
    "EventBridge Scheduler, a million invocations": (1.00, "https://aws.amazon.com/eventbridge/pricing/"),
    "SQS, a million requests": (0.40, "https://aws.amazon.com/sqs/pricing/"),
    "Neon (Launch), an hour of a compute unit": (0.106, "https://neon.com/docs/introduction/plans"),
    "Neon (Launch), a GB of storage for a month": (0.35, "https://neon.com/docs/introduction/plans"),
}

# Measured by `cargo test -p tests --test scenarios -- reconcile::cost --nocapture`: 200 000 users who
# are listed twice, first into an empty table and then in sync with it.
MEASURED = "27 November 2026, unoptimized, on two cores with a load of 17"
TWICE_SECONDS = 113
TWICE_USERS = 200_000

# What template.yaml sets.
MEMORY_GB = 0.5
# What is assumed of an invocation.
START_SECONDS = 0.2  # to start an instance and to connect
DELIVERY_SECONDS = 0.1  # to verify, to write and to answer
ROW_BYTES = 2_500  # of the table with its indexes
LOGGED_BYTES = 1_500  # Lambda's own three lines included

# What is assumed.
PAGE_USERS = 1_000  # Stack Auth's and Supabase's; Clerk's pages hold 500, WorkOS' and Auth0's 100
PAGE_SECONDS = 0.3  # until the provider answers with one
READ_SECONDS = 0.1  # until the provider answers with one user
DELIVERIES = 2  # a user and month
COMPUTE_UNITS = 0.25  # Neon's smallest
AWAKE_SECONDS = 300  # for which Neon's compute goes on after the last statement

MONTH = 730 * 3600
SIZES = [1_000, 100_000, 1_000_000]
SCHEDULES = {
    "rate(5 minutes)": 300,
    "rate(15 minutes)": 900,
    "rate(1 hour)": 3_600,
    "rate(3 hours)": 10_800,
    "rate(6 hours)": 21_600,
    "rate(1 day)": 86_400,
}


def price(of):
    return PRICES[of][0]


def run_seconds(users):
    """How long a run over users takes that are in sync; a page is compared while the next is fetched."""
    page = TWICE_SECONDS / TWICE_USERS / 2 * PAGE_USERS
    return START_SECONDS + ceil(users / PAGE_USERS) * max(PAGE_SECONDS, page)


def bill(users, schedule, free=True, processor="arm64"):
    """Each line of AWS' bill for a month."""
    # A run that takes longer than its schedule leaves the next one busy.
    runs = MONTH / max(SCHEDULES[schedule], run_seconds(users))
    deliveries = users * DELIVERIES
    delivery = DELIVERY_SECONDS + READ_SECONDS
    seconds = runs * run_seconds(users) + deliveries * delivery
    requests = runs + deliveries
    # Each run starts an instance; deliveries that come often enough find one.
    reads = runs + min(deliveries, MONTH / 300)
    logs = requests * LOGGED_BYTES / 1e9

    def beyond(used, granted):
        return max(0, used - granted) if free else used

    return {
        "Lambda": beyond(seconds * MEMORY_GB, 400_000) * price(f"Lambda, {processor}, a GB-second")
        + beyond(requests, 1e6) / 1e6 * price("Lambda, a million requests"),
        "Secrets Manager": price("Secrets Manager, a secret for a month")
        + reads / 1e4 * price("Secrets Manager, 10 000 calls"),
        "logs": beyond(logs, 5) * price("CloudWatch, a GB of logs taken in"),
        "Scheduler": beyond(runs, 14e6) / 1e6 * price("EventBridge Scheduler, a million invocations"),
    }


def neon(users, schedule, asleep):
    """Compute for which this schedule is the reason, and the table's storage."""
    awake = 0
    if asleep:
        share = min(1, (run_seconds(users) + AWAKE_SECONDS) / SCHEDULES[schedule])
        awake = MONTH / 3600 * share * COMPUTE_UNITS
    return (
        awake * price("Neon (Launch), an hour of a compute unit"),
        users * ROW_BYTES / 1e9 * price("Neon (Launch), a GB of storage for a month"),
    )


def total(users, schedule, asleep):
    return sum(bill(users, schedule).values()) + sum(neon(users, schedule, asleep))


def recommended():
    """The shortest schedule with which a thousand users cost less than a dollar."""
    return next(each for each in SCHEDULES if total(SIZES[0], each, asleep=True) < 1)


def dollars(amount):
    return f"${amount:.2f}"


def number(count):
    return f"{count:,}".replace(",", " ")


def spoken(schedule):
    return "every " + schedule[5:-1].removeprefix("1 ")


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def by_schedule(asleep):
    rows = []
    for schedule in SCHEDULES:
        mark = " (default)" if schedule == recommended() else ""
        totals = [dollars(total(users, schedule, asleep)) for users in SIZES]
        rows.append([spoken(schedule) + mark, *totals])
    return table(["all users are compared", *[f"{number(users)} users" for users in SIZES]], rows)


def lines_of_the_bill():
    schedule, rows = recommended(), []
    bills = [bill(users, schedule) for users in SIZES]
    for line in bills[0]:
        rows.append([line, *[dollars(each[line]) for each in bills]])
    of_neon = [neon(users, schedule, asleep=True) for users in SIZES]
    rows.append(["Neon, woken by the schedule", *[dollars(compute) for compute, _ in of_neon]])
    rows.append(["Neon, storage of the table", *[dollars(storage) for _, storage in of_neon]])
    rows.append(["together", *[dollars(total(users, schedule, True)) for users in SIZES]])
    whole = [sum(bill(users, schedule, free=False).values()) for users in SIZES]
    rows.append(["AWS' part without its free tier", *[dollars(each) for each in whole]])
    intel = [sum(bill(users, schedule, False, "x86_64").values()) for users in SIZES]
    rows.append(["the same on x86_64", *[dollars(each) for each in intel]])
    return table(["", *[f"{number(users)} users" for users in SIZES]], rows)


def page():
    always = MONTH / 3600 * COMPUTE_UNITS * price("Neon (Launch), an hour of a compute unit")
    default = recommended()
    prices = [[what, f"${amount:.10f}".rstrip("0").rstrip(".") if amount < 0.01 else (f"${amount:.3f}" if amount * 100 % 1 else dollars(amount)), f"<{source}>"]
              for what, (amount, source) in PRICES.items()]
    watching = (10 * price("CloudWatch, an alarm for a month")
                + 5 * price("CloudWatch, a custom metric for a month")
                + price("CloudWatch, a dashboard for a month"))
    return f"""# Cost

For you who want to know what it costs before you deploy it, or why the schedule is as it is. This page
is what `python3 tests/cost.py` prints: change it there.

Dollars a month for everything, with AWS' free tier that does not end, and a Neon database on the plan
*Launch*.

## A database that sleeps

Nothing but the schedule wakes it. After a statement, Neon's compute goes on for {AWAKE_SECONDS // 60} minutes, which
costs more than all the rest: a schedule of 5 minutes keeps it awake all month, for {dollars(always)}.

{by_schedule(asleep=True)}

## A database that your application keeps awake

{by_schedule(asleep=False)}

## The default

`Schedule` is `{default}` by default: of these, it is the shortest with which a thousand users and a
database that sleeps cost less than a dollar. Deliveries don't wait for it. It says how soon something
is noticed of which no webhook tells, and a delivery that got lost. If your application keeps the
database awake anyway, a shorter one costs next to nothing: set `Schedule` and `ScheduleSeconds`.

What it is made of, with a database that sleeps:

{lines_of_the_bill()}

- A delivery wakes the database as well. It comes when a user does something in your application,
  which wakes it just the same, so it is not counted here.
- Up to ten alarms, five metrics of its own and the dashboard are within AWS' free tier, unless your
  account has used that up: then they cost up to {dollars(watching)}. Mail and the queue of dead letters cost
  nothing at this rate.
- A VPC's NAT gateway, a KMS key of your own and another database than Neon's are not counted.

## What it is computed from

Prices as of {PRICED}, in us-east-1:

{table(["what", "price", "source"], prices)}

Measured ({MEASURED}): {number(TWICE_USERS)} users are
listed and stored, and then listed and compared, in {TWICE_SECONDS} s together. Half of that is {TWICE_SECONDS / TWICE_USERS / 2 * PAGE_USERS:.2f} s for
{number(PAGE_USERS)} users, which is more than an idle core takes; a function of {MEMORY_GB * 1024:g} MB has a third of a core
on Lambda. The command stands in `tests/cost.py`.

Assumed: the provider answers with a page of {number(PAGE_USERS)} users in {PAGE_SECONDS:g} s (WorkOS and Auth0 give a hundred,
so a run takes up to ten times as long), and with one user in {READ_SECONDS:g} s; a start takes {START_SECONDS:g} s and a delivery
{DELIVERY_SECONDS:g} s; each user causes {DELIVERIES} deliveries a month; a row takes {number(ROW_BYTES)} bytes with its indexes, and an
invocation logs {number(LOGGED_BYTES)}; Neon's compute has {COMPUTE_UNITS:g} units.
"""


if __name__ == "__main__":
    print(page(), end="")
