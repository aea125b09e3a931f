"""Every table, as SQLAlchemy Core.

Rules that hold for all of them:
- the environment (`env`) leads every primary and unique key, and what belongs to a member carries the member's id, so
  that rows can be spread over machines as they are; `distribution.py` says by what, and a test holds every statement
  to it. Three look-ups begin outside an environment, because a request does not know its own yet: a source by its
  name, a key by its hash, and the list of environments;
- instants are whole milliseconds, points are whole smallest units, ids are 63-bit integers (`adapter/ids.py`);
- `transfers` and `allocations` are only ever appended to; so are `messages` and `attempts` until `retention` removes them;
- text that holds JSON says so in its comment; nobody but the named module parses it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

LOTS_DUE_EARLY = "due_at IS NOT NULL AND (pending > 0 OR expires_at IS NULL OR due_at < expires_at)"
"""Lots that time changes otherwise than by ending what is available of them: when that ends `ix_lots_open` says."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    },
)

# --- who and what is configured -----------------------------------------------------------------------------------

environments = Table(
    "environments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column(
        "secret", LargeBinary, nullable=False
    ),  # random; what codes of vouchers are derived from, for ever
    UniqueConstraint("tenant", "mode"),
    CheckConstraint("mode IN ('test', 'live')", name="environments_mode"),
)

configuration = Table(
    "configuration",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", BigInteger, nullable=False),  # +1 with every change of this section's tables
    Column("publishes", SmallInteger, nullable=False, server_default="0"),  # 1: messages go to a stream too
    Column(
        "names_lots", SmallInteger, nullable=False, server_default="1"
    ),  # 1: a transfer of one lot names it; 0: versions that look for it in `allocations` may still run
    CheckConstraint("id = 1", name="configuration_one_row"),
)

programs = Table(
    "programs",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON of program.model.Program
    PrimaryKeyConstraint("env", "name", "version"),
)

definitions = Table(
    "definitions",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", SmallInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("decimals", SmallInteger, nullable=False),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "program", "name"),
)

sources = Table(
    "sources",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("connector", Text, nullable=False),
    Column("program", Text, nullable=False),
    Column("orders_of", Text, nullable=False),  # the source whose orders this one speaks of; usually itself
    Column("secrets", Text, nullable=False),  # JSON: list of text
    Column("options", Text, nullable=False),  # JSON: the connector's own settings
    PrimaryKeyConstraint("env", "name"),
    UniqueConstraint("name"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),  # SHA-256 of the token; the token itself is never kept
    Column("hint", Text, nullable=False),  # its first letters, to tell keys apart in a list
    Column("scopes", Text, nullable=False),  # JSON: list of text
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("hash"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column(
        "secrets", Text, nullable=False
    ),  # JSON: [{"secret": "whsec_…", "expires_at": Millis | null}], newest first
    Column("events", Text, nullable=False),  # JSON: list of message types, "*" and "order.*" style patterns
    Column("format", Text, nullable=False),
    Column("schedule", Text, nullable=False),  # JSON: seconds before each retry
    Column("timeout_s", Integer, nullable=False),
    Column("ordered", SmallInteger, nullable=False),
    Column("headers", Text, nullable=False),  # JSON: {name: value}, sent with every request
    Column("concurrency", Integer, nullable=False),  # most requests in flight at once
    Column("rate_per_s", Integer),  # most requests begun in a second; null: no limit
    Column("description", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("disabled_reason", Text),
    Column("failing_since", BigInteger),  # first failure after the last success; null while healthy
    Column("failures", Integer, nullable=False, server_default="0"),  # failures in a row
    Column("probe_at", BigInteger),  # when a disabled endpoint is tried again by itself; null: never
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "id"),
    CheckConstraint("state IN ('enabled', 'disabled')", name="endpoints_state"),
)

dialects = Table(
    "dialects",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("program", Text, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("customers_of", Text, nullable=False),
    Column("options", Text, nullable=False),  # JSON
    PrimaryKeyConstraint("env", "name"),
    sqlite_with_rowid=False,
)

# --- what came in ----------------------------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("topic", Text, nullable=False),  # the platform's own name
    Column("types", Text, nullable=False),  # our event types, separated by spaces
    Column("state", Text, nullable=False),
    Column("reason", Text),  # why it is not simply applied
    Column("order_source", Text),
    Column("order_ref", Text),
    Column("member", BigInteger),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    Column("headers", Text, nullable=False),  # JSON: {name: value}, without signatures and credentials
    Column("body", LargeBinary, nullable=False),  # the raw bytes
    Column("emptied_at", BigInteger),  # when its headers and body were removed; null: they are kept
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "source", "key"),
    Index("ix_events_order", "env", "order_source", "order_ref"),
    Index(
        "ix_events_state",
        "env",
        "state",
        "id",
        sqlite_where=text("state != 'applied'"),
        postgresql_where=text("state != 'applied'"),
    ),
    Index(
        "ix_events_personal",
        "env",
        "member",
        sqlite_where=text("topic IN ('member.created', 'member.updated') AND source = '@api'"),
        postgresql_where=text("topic IN ('member.created', 'member.updated') AND source = '@api'"),
    ),
    CheckConstraint("state IN ('applied', 'parked', 'ignored', 'rejected')", name="events_state"),
)

orders = Table(
    "orders",
    metadata,
    Column("env", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("ref", Text, nullable=False),  # the shop's order id
    Column("name", Text),  # what people call it
    Column("member", BigInteger),  # null while it is parked
    Column("email", Text),  # a guest's address while the order waits for its member
    Column("customer", Text),  # the shop's customer id while the order waits for them to become a member
    Column("program", Text, nullable=False),
    Column("program_version", Integer),  # kept from placed_at on
    Column("definition", SmallInteger),
    Column("state", Text, nullable=False),
    Column("reason", Text),  # why it earns nothing, or less than someone may expect
    Column("basis", Text),  # decimal: what counted
    Column("currency", Text),
    Column("award", BigInteger, nullable=False),  # rules(basis)
    Column("parts", Text),  # JSON [[rule, points], …]: which rules gave it; null: the only one
    Column("standing", Text),  # JSON of book.membership.Kept; null: the program asks for none
    Column("retained", BigInteger, nullable=False),  # what is left of it after refunds
    Column("credited", BigInteger, nullable=False),  # issued to the member so far
    Column("taken", BigInteger, nullable=False),  # clawed back, owed or waived so far
    Column("lot", BigInteger),
    Column("award_transaction", BigInteger),  # the pending transaction, while there is one
    Column("placed_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),  # JSON of book.facts.Facts
    PrimaryKeyConstraint("env", "source", "ref"),
    Index("ix_orders_member", "env", "member", "source", "ref"),
    Index(
        "ix_orders_guest",
        "env",
        "email",
        sqlite_where=text("member IS NULL AND email IS NOT NULL"),
        postgresql_where=text("member IS NULL AND email IS NOT NULL"),
    ),
    Index(
        "ix_orders_awaited",
        "env",
        "source",
        "customer",
        sqlite_where=text("member IS NULL AND customer IS NOT NULL"),
        postgresql_where=text("member IS NULL AND customer IS NOT NULL"),
    ),
)

order_links = Table(
    "order_links",
    metadata,
    Column("env", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # code or payment
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("ref", Text, nullable=False),  # the order that named it once: its facts say whether it still does
    PrimaryKeyConstraint("env", "kind", "name", "source", "ref"),
    sqlite_with_rowid=False,
)

# --- people -------------------------------------------------------------------------------------------------------------

members = Table(
    "members",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("merged_into", BigInteger),  # the member that goes on in this one's place
    PrimaryKeyConstraint("env", "id"),
    Index(
        "ix_members_merged",
        "env",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
    CheckConstraint("state IN ('active', 'deleted', 'erased', 'merged')", name="members_state"),
    CheckConstraint("(state = 'merged') = (merged_into IS NOT NULL)", name="members_merged"),
)

identities = Table(
    "identities",
    metadata,
    Column("env", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("customer", Text, nullable=False),  # the shop's customer id
    Column("member", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "source", "customer"),
    Index("ix_identities_member", "env", "member"),
)

people = Table(
    "people",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("email", Text),
    Column("name", Text),
    Column("version", BigInteger, nullable=False),  # of the newest fact that was merged
    Column("birthday", Text),  # YYYY-MM-DD
    Column("metadata", Text),  # JSON: an object of strings
    PrimaryKeyConstraint("env", "member"),
    Index("ix_people_email", "env", "email"),
)

# --- the book ------------------------------------------------------------------------------------------------------------

balances = Table(
    "balances",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("owed", BigInteger, nullable=False),
    Column("earned", BigInteger, nullable=False),  # posted in a lifetime, less what was clawed back
    Column("sequence", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),  # hash of the newest transfer
    Column("idle_at", BigInteger),  # all available points end then, unless their member does something before
    Column("remind_at", BigInteger),  # the member is reminded of that then
    Column("next_due_at", BigInteger),  # nothing happens by time alone before this; null: nothing at all
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "member", "definition"),
    Index(
        "ix_balances_due",
        "next_due_at",
        sqlite_where=text("next_due_at IS NOT NULL"),
        postgresql_where=text("next_due_at IS NOT NULL"),
    ),
    CheckConstraint(
        "pending >= 0 AND available >= 0 AND reserved >= 0 AND owed >= 0", name="balances_not_negative"
    ),
    CheckConstraint("owed = 0 OR available = 0", name="balances_owed_or_available"),
)

transfers = Table(
    "transfers",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("n", SmallInteger, nullable=False),  # several transfers of one change share its sequence
    Column("from_account", Text, nullable=False),
    Column("to_account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_source", Text),
    Column("order_ref", Text),
    Column("transaction", BigInteger),
    Column("event", BigInteger),
    Column("occurred_at", BigInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("lot", BigInteger),  # the one from and to whose parts all of it moved; else `allocations` say
    Column("lot_expires_at", BigInteger),  # its expiry as it was then; sealed by the hash
    PrimaryKeyConstraint("env", "member", "definition", "sequence", "n"),
    CheckConstraint("amount > 0", name="transfers_positive"),
    CheckConstraint("from_account != to_account", name="transfers_two_accounts"),
    sqlite_with_rowid=False,
)

lots = Table(
    "lots",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("order_source", Text),
    Column("order_ref", Text),
    Column("pending", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),  # how many of its points ran out and were not waived since
    Column("earned_at", BigInteger, nullable=False),
    Column("due_amount", BigInteger, nullable=False),  # how many of the pending points post at `available_at`
    Column("available_at", BigInteger),  # null: the pending points wait for a fact
    Column("expires_at", BigInteger),
    Column("due_at", BigInteger),  # the next instant at which time alone changes this lot
    Column("transaction", BigInteger),  # the credit whose points wait in it for `available_at`
    Column(
        "idled", BigInteger, nullable=False, server_default=text("0")
    ),  # of `expired`: their member did nothing
    Column("remind_at", BigInteger),  # the member is reminded of its end then
    PrimaryKeyConstraint("env", "member", "definition", "id"),
    Index(
        "ix_lots_due_early",
        "env",
        "member",
        "definition",
        "due_at",
        sqlite_where=text(LOTS_DUE_EARLY),
        postgresql_where=text(LOTS_DUE_EARLY),
    ),
    Index(
        "ix_lots_open",
        "env",
        "member",
        "definition",
        "expires_at",
        "id",
        sqlite_where=text("available > 0"),
        postgresql_where=text("available > 0"),
    ),
    CheckConstraint(
        "pending >= 0 AND available >= 0 AND reserved >= 0 AND expired >= 0", name="lots_not_negative"
    ),
    sqlite_with_rowid=False,
)

allocations = Table(  # of transfers that touched several lots, or none with a part of their amount
    "allocations",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("n", SmallInteger, nullable=False),
    Column("lot", BigInteger, nullable=False),
    Column(
        "amount", BigInteger, nullable=False
    ),  # of the transfer's amount, moved from and to this lot's parts
    Column("expires_at", BigInteger),  # the lot's expiry as it was then; sealed by the transfer's hash
    PrimaryKeyConstraint("env", "member", "definition", "sequence", "n", "lot"),
    CheckConstraint("amount > 0", name="allocations_positive"),
    sqlite_with_rowid=False,
)

transactions = Table(
    "transactions",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reason", Text),
    Column("order_source", Text),
    Column("order_ref", Text),
    Column("event", BigInteger),
    Column("occurred_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Column("expires_at", BigInteger),  # the instant at which it expires if it is still pending
    Column(
        "sequence", BigInteger
    ),  # of the change that set its points aside, credited or spent them; its allocations say which lots
    Column("metadata", Text),  # JSON: an object of strings
    Column("redemption", BigInteger),  # the redemption that owns it
    Column(
        "available_at", BigInteger
    ),  # from when on credited points can be used; null: not known, or of an order
    Column("rejected_at", BigInteger),
    Column("completes_at", BigInteger),  # the instant at which it is completed if it is still pending
    Column("due_at", BigInteger),  # the instant at which time alone ends it; null once it has ended
    Column("chain", BigInteger),  # on whose chain `sequence` is, where another member has it since
    Column("reverses", BigInteger),  # the transaction that it undoes
    Column("points_last", BigInteger),  # credited points end so many milliseconds after they can be used
    PrimaryKeyConstraint("env", "id"),
    Index(
        "ix_transactions_reverses",
        "env",
        "reverses",
        unique=True,
        sqlite_where=text("reverses IS NOT NULL"),
        postgresql_where=text("reverses IS NOT NULL"),
    ),
    Index("ix_transactions_member", "env", "member", "id"),
    Index(
        "ix_transactions_redemption",
        "env",
        "redemption",
        sqlite_where=text("redemption IS NOT NULL"),
        postgresql_where=text("redemption IS NOT NULL"),
    ),
    Index(
        "ix_transactions_booked",
        "env",
        "member",
        "definition",
        "created_at",
        sqlite_where=text("order_ref IS NULL AND redemption IS NULL"),
        postgresql_where=text("order_ref IS NULL AND redemption IS NULL"),
    ),
    Index(
        "ix_transactions_due",
        "env",
        "member",
        "definition",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    CheckConstraint("kind IN ('credit', 'debit')", name="transactions_kind"),
    CheckConstraint(
        "state IN ('pending', 'completed', 'cancelled', 'expired', 'rejected')", name="transactions_state"
    ),
)

balance_orders = Table(
    "balance_orders",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("transaction", BigInteger, nullable=False),  # has its state, its times and its metadata
    Column("amount", BigInteger, nullable=False),  # below zero for a debit
    Column("source", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "transaction"),
    Index("ix_balance_orders_member", "env", "member", "id"),
    CheckConstraint("amount != 0", name="balance_orders_amount"),
    CheckConstraint("source IN ('engine', 'user')", name="balance_orders_source"),
)

transaction_metadata = Table(
    "transaction_metadata",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("transaction", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "name", "value", "transaction"),
    sqlite_with_rowid=False,
)

advices = Table(
    "advices",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),  # from 1; only the newest one can be outstanding
    Column("advice", Text, nullable=False),
    Column("reason", Text),
    Column("given_at", BigInteger, nullable=False),
    Column("cleared_at", BigInteger),  # null: outstanding
    Column("cleared_reason", Text),
    PrimaryKeyConstraint("env", "member", "number"),
    sqlite_with_rowid=False,
)

redemptions = Table(
    "redemptions",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("transaction", BigInteger, nullable=False),  # the debit that holds its points or spent them
    Column("program", Text, nullable=False),
    Column("reward", Text),  # of the catalogue; null: money off by points or by value
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),  # of the cost: came back for refunds of its order
    Column("value", BigInteger),  # in the currency's smallest units, or in those of `credited`
    Column("currency", Text),
    Column("code", Text),  # upper-case
    Column("credited", SmallInteger),  # the definition that its value was credited to
    Column("order_source", Text),
    Column("order_ref", Text),
    Column("payment", Text),
    Column("linked", Text),  # JSON of book.linking: what each order that uses it says
    Column("decided", SmallInteger, nullable=False),  # 1: moved by the API, and by no order's facts any more
    Column("flagged", Text),  # why a person should look at it
    Column("shipping", Text),  # JSON: an object of strings
    Column("tracking", Text),
    Column("reason", Text),
    Column("metadata", Text),  # JSON: an object of strings
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # the instant at which it expires if it is still pending
    Column("applied_at", BigInteger),
    Column("fulfilled_at", BigInteger),
    Column("released_at", BigInteger),
    Column("expired_at", BigInteger),
    Column("reversed_at", BigInteger),
    Column(
        "locks_until", BigInteger
    ),  # no other redemption of its balance before then, while it keeps its lock
    Column("flag_cleared_at", BigInteger),
    Column("flag_note", Text),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "code"),
    Index("ix_redemptions_member", "env", "member", "definition", "id"),
    Index("ix_redemptions_day", "env", "member", "definition", "created_at"),
    Index(
        "ix_redemptions_lock",
        "env",
        "member",
        "definition",
        "locks_until",
        sqlite_where=text("locks_until IS NOT NULL"),
        postgresql_where=text("locks_until IS NOT NULL"),
    ),
    Index(
        "ix_redemptions_flagged",
        "env",
        "id",
        sqlite_where=text("flagged IS NOT NULL AND flag_cleared_at IS NULL"),
        postgresql_where=text("flagged IS NOT NULL AND flag_cleared_at IS NULL"),
    ),
    Index(
        "ix_redemptions_order",
        "env",
        "order_source",
        "order_ref",
        sqlite_where=text("order_ref IS NOT NULL"),
        postgresql_where=text("order_ref IS NOT NULL"),
    ),
    Index(
        "ix_redemptions_payment",
        "env",
        "payment",
        sqlite_where=text("payment IS NOT NULL"),
        postgresql_where=text("payment IS NOT NULL"),
    ),
    CheckConstraint("kind IN ('discount', 'item', 'credit')", name="redemptions_kind"),
    CheckConstraint(
        "state IN ('pending', 'applied', 'fulfillment_pending', 'fulfilled', 'released', 'expired', 'reversed')",
        name="redemptions_state",
    ),
    CheckConstraint("cost > 0 AND returned >= 0 AND returned <= cost", name="redemptions_cost"),
)

vouchers = Table(
    "vouchers",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("code", Text, nullable=False),  # upper-case
    Column("state", Text, nullable=False),
    Column("rule", Text),  # of the program; null: by hand
    Column("occasion", Text),  # what the rule attributed it for
    Column("reward", Text),  # of the catalogue
    Column("value", BigInteger),  # in the currency's smallest units
    Column("currency", Text),
    Column("percent", Text),  # decimal
    Column("reason", Text),
    Column("order_source", Text),  # the order that used it
    Column("order_ref", Text),
    Column("linked", Text),  # JSON of book.linking: what each order that uses it says
    Column("withdrawn", SmallInteger, nullable=False, server_default=text("0")),  # 1: its occasion is no more
    Column("decided", SmallInteger, nullable=False),  # 1: moved by the API, and by nothing else any more
    Column("attributed_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("metadata", Text),  # JSON: an object of strings
    Column("worth", Text),  # decimal: what somebody says its reward is worth
    Column("valid_from", BigInteger),
    Column("hold", BigInteger),  # of whoever was about to use it last
    Column("held_at", BigInteger),
    Column("held_until", BigInteger),  # nobody else can use it before
    Column("expires_at", BigInteger),  # the instant at which it expires if it is still active
    Column("remind_at", BigInteger),  # when the member is reminded of that next
    Column("redeemed_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("expired_at", BigInteger),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "code"),
    Index("ix_vouchers_member", "env", "member", "id"),
    Index(
        "ix_vouchers_hold",
        "env",
        "hold",
        sqlite_where=text("hold IS NOT NULL"),
        postgresql_where=text("hold IS NOT NULL"),
    ),
    Index(
        "uq_vouchers_occasion",
        "env",
        "member",
        "program",
        "rule",
        "occasion",
        unique=True,
        sqlite_where=text("rule IS NOT NULL"),
        postgresql_where=text("rule IS NOT NULL"),
    ),
    Index(
        "ix_vouchers_due",
        "expires_at",
        sqlite_where=text("state = 'active' AND expires_at IS NOT NULL"),
        postgresql_where=text("state = 'active' AND expires_at IS NOT NULL"),
    ),
    Index(
        "ix_vouchers_remind",
        "remind_at",
        sqlite_where=text("state = 'active' AND remind_at IS NOT NULL"),
        postgresql_where=text("state = 'active' AND remind_at IS NOT NULL"),
    ),
    CheckConstraint("state IN ('active', 'redeemed', 'revoked', 'expired')", name="vouchers_state"),
)

# --- where members stand ------------------------------------------------------------------------------------------------

memberships = Table(
    "memberships",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),  # of the program by which it was reviewed last
    Column("first_source", Text),  # the member's first order
    Column("first_ref", Text),
    Column("birthday_at", BigInteger),  # when the next birthday begins
    Column("anniversary_at", BigInteger),  # when there is next one to tell of
    Column("next_due_at", BigInteger),  # nothing changes by time alone before this; null: nothing at all
    PrimaryKeyConstraint("env", "member", "program"),
    Index(
        "ix_memberships_due",
        "next_due_at",
        sqlite_where=text("next_due_at IS NOT NULL"),
        postgresql_where=text("next_due_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

standings = Table(
    "standings",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("tier_group", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reviewed_at", BigInteger, nullable=False),  # all deadlines up to here have been met
    Column("assigned_until", BigInteger),  # until then no rule moves it
    Column("changes", Integer, nullable=False),  # lines of its history
    PrimaryKeyConstraint("env", "member", "program", "tier_group"),
    sqlite_with_rowid=False,
)

tier_changes = Table(
    "tier_changes",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("tier_group", Text, nullable=False),
    Column("n", Integer, nullable=False),  # 1, 2, 3, … of its standing
    Column("from_tier", Text),  # null: the tier on which the member began
    Column("to_tier", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # of the cause
    Column("event", BigInteger),
    Column("reason", Text),
    Column("measure", BigInteger, nullable=False),  # in smallest units, money in millionths
    PrimaryKeyConstraint("env", "member", "id"),
    UniqueConstraint("env", "member", "program", "tier_group", "n"),
    sqlite_with_rowid=False,
)

measures = Table(
    "measures",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("definition", SmallInteger, nullable=False),
    Column("unit", Text, nullable=False),  # points, a currency, or awards/month and the like
    Column("day", Integer, nullable=False),  # its date as a number; 0: all days together
    Column("amount", BigInteger, nullable=False),  # in smallest units, money in millionths
    PrimaryKeyConstraint("env", "member", "day", "definition", "unit"),
    sqlite_with_rowid=False,
)

bonuses = Table(
    "bonuses",
    metadata,
    Column("env", Integer, nullable=False),
    Column("member", BigInteger, nullable=False),
    Column("program", Text, nullable=False),
    Column("occasion", Text, nullable=False),  # sign_up, or birthday:2026
    Column("transaction", BigInteger, nullable=False),
    Column("credited_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "member", "program", "occasion"),
    sqlite_with_rowid=False,
)

# --- what goes out --------------------------------------------------------------------------------------------------------

messages = Table(
    "messages",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("member", BigInteger),
    Column("definition", SmallInteger),
    Column("sequence", BigInteger),  # only for balance.updated: that of its transfers
    Column("created_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the frozen bytes
    Column("format", Text, nullable=False, server_default="native"),  # whose: ours, or a vendor's
    PrimaryKeyConstraint("env", "id"),
    Index("ix_messages_member", "env", "member", "id"),
    Index(
        "ix_messages_format",
        "env",
        "format",
        "id",
        sqlite_where=text("format <> 'native'"),
        postgresql_where=text("format <> 'native'"),
    ),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("endpoint", BigInteger, nullable=False),
    Column("message", BigInteger, nullable=False),
    Column("member", BigInteger),  # for ordered endpoints and for the filter by member
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),  # requests made so far, all schedules together
    Column("step", Integer, nullable=False),  # position in the endpoint's schedule
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger),
    Column(
        "fence", BigInteger, nullable=False
    ),  # +1 with every claim; a late record with an old fence is dropped
    Column("replay", BigInteger),  # the replay that asked for the attempt now due
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "id"),
    UniqueConstraint("env", "endpoint", "message"),
    Index(
        "ix_deliveries_due",
        "env",
        "endpoint",
        "next_attempt_at",
        "id",
        sqlite_where=text("state IN ('due', 'claimed')"),
        postgresql_where=text("state IN ('due', 'claimed')"),
    ),
    Index(
        "ix_deliveries_state",
        "env",
        "state",
        "id",
        sqlite_where=text("state IN ('dead', 'held')"),
        postgresql_where=text("state IN ('dead', 'held')"),
    ),
    Index("ix_deliveries_message", "env", "message"),
    CheckConstraint("state IN ('due', 'claimed', 'delivered', 'dead', 'held')", name="deliveries_state"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("env", Integer, nullable=False),
    Column("delivery", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),  # null: no answer
    Column("error", Text),
    Column("response", Text),  # the beginning of the body, cleaned
    PrimaryKeyConstraint("env", "delivery", "number"),
)

replays = Table(
    "replays",
    metadata,
    Column("env", Integer, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("filter", Text, nullable=False),  # JSON: what was asked for
    Column("selected", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    PrimaryKeyConstraint("env", "id"),
    Index(
        "ix_replays_unfinished",
        "env",
        "id",
        sqlite_where=text("finished_at IS NULL"),
        postgresql_where=text("finished_at IS NULL"),
    ),
)

replay_items = Table(
    "replay_items",
    metadata,
    Column("env", Integer, nullable=False),
    Column("replay", BigInteger, nullable=False),
    Column("delivery", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("env", "replay", "delivery"),
    Index(
        "ix_replay_items_waiting",
        "env",
        "replay",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    CheckConstraint("state IN ('waiting', 'queued', 'sent', 'failed')", name="replay_items_state"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("env", Integer, nullable=False),
    Column(
        "key", LargeBinary, nullable=False
    ),  # SHA-256 of route and Idempotency-Key: a key belongs to one route
    Column(
        "request", LargeBinary, nullable=False
    ),  # SHA-256 of path and body, to refuse another request under it
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),  # what was answered, byte for byte
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),  # the caller's own: a correlation id
    Column("member", BigInteger),  # none: nobody is known in it
    Column("known_by", Text, nullable=False),  # the kind of name that the member was found by
    Column("begun_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "name"),
    Index("ix_sessions_ends_at", "ends_at"),
)

removals = Table(
    "removals",
    metadata,
    Column("env", Integer, nullable=False),
    Column("name", Text, nullable=False),  # the table of which rows, or of `events` their bytes, were removed
    Column("removed", BigInteger, nullable=False),  # rows, ever
    Column("until", BigInteger, nullable=False),  # only what was made before this may have been removed
    PrimaryKeyConstraint("env", "name"),
)

publications = Table(  # messages that the broker does not have yet; a row goes when it has acknowledged
    "publications",
    metadata,
    Column("env", Integer, nullable=False),
    Column("message", BigInteger, nullable=False),
    PrimaryKeyConstraint("env", "message"),
    Index("ix_publications_message", "message", "env"),
)

streams = Table(  # one row a stream that is published to: who does it now, and when it last went well
    "streams",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("published_at", BigInteger),
)
