"""Fills every table that grows, with rows of savers who take no part: what happened long ago and has ended.

Past the triggers, which would look at each row. What the books demand is kept all the same: two entries a transfer that
come to nothing, versions without gaps, balances that follow.
"""

from typing import Final

from tests.support.postgres import Database

SAVERS: Final = 5_000
"""Each with two numbers, two goals, a rule, an activity, and about as many rows of everything else."""

ROWS: Final = 10_000
"""Of each table in which a saver has several rows."""

# An id is that of its name: rows find each other by it without being looked up.
WORDS: Final = """
    CREATE SCHEMA filling;
    CREATE FUNCTION filling.id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5(name)::uuid;
    CREATE FUNCTION filling.saver(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN md5('saver/' || n % @SAVERS@)::uuid;
    CREATE FUNCTION filling.goal(n int) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5('goal/' || n % @SAVERS@)::uuid;
    CREATE FUNCTION filling.receipt(n int) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'RF' || lpad(n::text, 8, '0');
    CREATE FUNCTION filling.hash(name text) RETURNS bytea LANGUAGE sql IMMUTABLE
        RETURN sha256(convert_to(name, 'UTF8'));
    CREATE FUNCTION filling.at(n int) RETURNS timestamptz LANGUAGE sql STABLE
        RETURN now() - interval '20 days' + n * interval '80 seconds';
"""

PAST_TRIGGERS: Final = "SET LOCAL session_replication_role = replica;"

# Once for every saver.
OF_SAVERS: Final = """
    INSERT INTO ledger.accounts (id, kind, normal_side, saver_id)
        SELECT filling.id('wallet/' || n), 'wallet', 'credit', filling.saver(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.accounts (id, kind, normal_side, saver_id)
        SELECT filling.id('money/' || n), 'goal', 'credit', filling.saver(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.balances (account_id, saver_id, kind, balance_cents, version)
        SELECT filling.id('wallet/' || n), filling.saver(n), 'wallet', 999700, 2
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.balances (account_id, saver_id, kind, balance_cents, version)
        SELECT filling.id('money/' || n), filling.saver(n), 'goal', 300, 1
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.transfers (id, key, kind, event_at)
        SELECT filling.id('opening/' || n), 'opening:' || n, 'filling', filling.at(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.transfers (id, key, kind, event_at)
        SELECT filling.id('saving/' || n), 'saving:' || n, 'filling', filling.at(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.entries (amount_cents, transfer_id, account_id)
        SELECT -1000000, filling.id('opening/' || n), (SELECT id FROM ledger.accounts WHERE kind = 'funding')
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.entries (
        amount_cents, account_previous_cents, account_current_cents, account_version, transfer_id, account_id
    )
        SELECT 1000000, 0, 1000000, 1, filling.id('opening/' || n), filling.id('wallet/' || n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.entries (
        amount_cents, account_previous_cents, account_current_cents, account_version, transfer_id, account_id
    )
        SELECT -300, 1000000, 999700, 2, filling.id('saving/' || n), filling.id('wallet/' || n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO ledger.entries (
        amount_cents, account_previous_cents, account_current_cents, account_version, transfer_id, account_id
    )
        SELECT 300, 0, 300, 1, filling.id('saving/' || n), filling.id('money/' || n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.savers (saver_id, member_code, wallet_account_id, data_key)
        SELECT filling.saver(n), (90000000 + n)::text, filling.id('wallet/' || n), filling.hash('key/' || n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.saver_activity (saver_id, last_seen_at)
        SELECT filling.saver(n), filling.at(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.pins (saver_id, hash, version, set_at)
        SELECT filling.saver(n), filling.hash('pin'), 1, filling.at(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.collection_plans (saver_id)
        SELECT filling.saver(n)
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.goals (saver_id, id, account_id, name, priority, is_default)
        SELECT filling.saver(n), filling.goal(n), filling.id('money/' || n), 'Savings', 1, true
          FROM generate_series(1, @SAVERS@) AS n;
    INSERT INTO savings.round_up_rules (
        saver_id, version, in_force_from, kind, step_cents, percentage_bp, fixed_cents, multiplier, whole_amount,
        whole_amount_cents, enabled, excluded_kinds, excluded_merchants, excluded_categories,
        collection_threshold_cents
    )
        SELECT filling.saver(n), 1, filling.at(n), 'nearest', 1000, 0, 0, 1, 'skip', 0, true, '{}', '{}', '{}', 10000
          FROM generate_series(1, @SAVERS@) AS n;
"""

# So often that a saver has several.
OF_EVENTS: Final = """
    INSERT INTO savings.mpesa_accounts (
        saver_id, id, msisdn, blind_index, proven_by, linked_at, unlinked_at, unlinked_because
    )
        SELECT filling.saver(n), filling.id('number/' || n), '', filling.hash('number/' || n), 'supabase_auth',
               filling.at(n), CASE WHEN n > @SAVERS@ THEN now() END,
               CASE WHEN n > @SAVERS@ THEN 'removed_by_saver' END
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.goals (saver_id, id, account_id, name, priority, letter)
        SELECT filling.saver(n), filling.id('further/' || n), filling.id('further money/' || n), 'Land', 2,
               CASE WHEN n > @SAVERS@ THEN 'B' ELSE 'A' END
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.goal_milestones (saver_id, goal_id, percent)
        SELECT filling.saver(n), filling.id('further/' || n), 25
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.transactions (
        saver_id, id, type, status, direction, amount_cents, occurred_at, title, receipt, round_up, explanation
    )
        SELECT filling.saver(n), filling.id('spend/' || n), 'spend', 'completed', 'out', 14700, filling.at(n), 'Shop',
               filling.receipt(n), '{}', '{}'
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.spends (
        saver_id, id, receipt, source, kind, amount_cents, event_at, content_digest, outcome, round_up_cents,
        rule_version, answer
    )
        SELECT filling.saver(n), filling.id('spend/' || n), filling.receipt(n), 'webhook', 'till', 14700,
               filling.at(n), filling.hash('spend/' || n), 'saved', 300, 1, '{}'
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.allocations (saver_id, spend_id, goal_id, amount_cents)
        SELECT filling.saver(n), filling.id('spend/' || n), filling.goal(n), 300
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.accruals (saver_id, spend_id, amount_cents, status, settled_cents)
        SELECT filling.saver(n), filling.id('spend/' || n), 300, 'settled', 300
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.accrual_shares (saver_id, spend_id, goal_id, source_id, amount_cents)
        SELECT filling.saver(n), filling.id('spend/' || n), filling.goal(n), filling.id('collection/' || n), 300
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.collections (
        saver_id, id, intent_id, amount_cents, fee_cents, tariff_valid_from, state, requested_by, prompts_at, receipt,
        to_wallet_cents, settled_at, created_at
    )
        SELECT filling.saver(n), filling.id('collection/' || n), filling.id('intent/' || n), 1000, 0, '2026-01-01',
               'settled', 'schedule', filling.at(n), 'C' || filling.receipt(n), 0, filling.at(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.collection_items (
        saver_id, collection_id, spend_id, place, amount_cents, settled_cents, outcome
    )
        SELECT filling.saver(n), filling.id('collection/' || n), filling.id('spend/' || n), 1, 300, 300, 'settled'
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.intents (
        saver_id, id, purpose, reference, shortcode, amount_cents, msisdn, blind_index, state, requested_at,
        not_before, open_until, expires_at, submitting_at, prompted_at, finished_at, checkout_hash,
        checkout_request_id, receipt, settled_by
    )
        SELECT filling.saver(n), filling.id('intent/' || n), 'deposit', 'Z9' || lpad(n::text, 10, '0'), '600000',
               20000, '', filling.hash('number/' || n), 'settled', filling.at(n), filling.at(n), filling.at(n),
               filling.at(n), filling.at(n), filling.at(n), filling.at(n), filling.hash('intent/' || n), '',
               'D' || filling.receipt(n), 'stk_callback'
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.intent_events (saver_id, id, intent_id, state, cause, happened_at)
        SELECT filling.saver(n), filling.id('settled/' || n), filling.id('intent/' || n), 'settled', 'callback',
               filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.deposits (saver_id, id, receipt, channel, amount_cents, shortcode, event_at, intent_id)
        SELECT filling.saver(n), filling.id('deposit/' || n), 'D' || filling.receipt(n), 'c2b', 20000, '600000',
               filling.at(n), filling.id('intent/' || n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.deposit_reversals (
        saver_id, deposit_id, amount_cents, wallet_cents, goals_cents, owed_cents, cause, evidence, reversal_receipt,
        event_at
    )
        SELECT filling.saver(n), filling.id('deposit/' || n), 100, 100, 0, 0, 'daraja', 'filling',
               'V' || filling.receipt(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.payouts (
        saver_id, id, amount_cents, account_id, msisdn, originator_conversation_id, conversation_id, shortcode, state,
        receipt, requested_at, submitting_at, submitted_at, settled_at
    )
        SELECT filling.saver(n), filling.id('payout/' || n), 5000, filling.id('number/' || n), '', 'ours-' || n,
               'theirs-' || n, '600001', 'settled', 'P' || filling.receipt(n), filling.at(n), filling.at(n),
               filling.at(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.payout_events (saver_id, id, payout_id, state, cause, happened_at)
        SELECT filling.saver(n), filling.id('paid/' || n), filling.id('payout/' || n), 'settled', 'result',
               filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.status_queries (
        saver_id, id, payout_id, state, conversation_id, originator_conversation_id, answer, asked_at, finished_at
    )
        SELECT filling.saver(n), filling.id('query/' || n), filling.id('payout/' || n), 'answered', 'asked-' || n,
               'asked-ours-' || n, 'completed', filling.at(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.payout_holds (saver_id, id, cause, held_until, created_at)
        SELECT filling.saver(n), filling.id('hold/' || n), 'number_added', filling.at(n) + interval '2 days',
               filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.notices (
        saver_id, id, account_id, kind, about_account_id, hold_id, created_at, outcome, finished_at
    )
        SELECT filling.saver(n), filling.id('notice/' || n), filling.id('number/' || n), 'number_added',
               filling.id('number/' || n), filling.id('hold/' || n), filling.at(n), 'sent', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.step_up_tokens (saver_id, token_hash, purpose, pin_version, created_at, expires_at, spent_at)
        SELECT filling.saver(n), filling.hash('token/' || n), 'withdrawal', 1, now(), now() + interval '5 minutes',
               now()
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.refused_links (saver_id, id, refused_at)
        SELECT filling.saver(n), filling.id('refused/' || n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO savings.own_reversals (saver_id, receipt)
        SELECT filling.saver(n), filling.receipt(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.receipts (role, receipt, saver_id)
        SELECT 'signed_spend', filling.receipt(n), filling.saver(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.receipts (role, receipt, saver_id)
        SELECT 'deposit', 'D' || filling.receipt(n), filling.saver(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.receipts (role, receipt, saver_id)
        SELECT 'payout', 'P' || filling.receipt(n), filling.saver(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.callbacks (id, kind, dedupe_hash, body, outcome, saver_id, received_at, last_received_at)
        SELECT filling.id('callback/' || n), 'c2b_confirmation', filling.hash('callback/' || n),
               filling.hash('body/' || n), 'processed', filling.saver(n), filling.at(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.suspense_items (
        id, receipt, amount_cents, shortcode, reason, event_at, state, resolved_at, resolved_by, evidence,
        return_receipt
    )
        SELECT filling.id('suspense/' || n), 'S' || filling.receipt(n), 100, '600000', 'no_reference', filling.at(n),
               'returned', filling.at(n), 'filling', 'filling', 'T' || filling.receipt(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.discrepancies (
        id, role, receipt, content_digest, differs, first_amount_cents, later_amount_cents
    )
        SELECT filling.id('discrepancy/' || n), 'signed_spend', filling.receipt(n), filling.hash('other/' || n),
               '{amount}', 1, 2
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.unmatched_spends (receipt_hash, number_hash, first_seen_at)
        SELECT filling.hash('receipt/' || n), filling.hash('stranger/' || n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.fees (payout_id, shortcode, cents, source, event_at)
        SELECT filling.id('payout/' || n), '600001', 500, 'tariff', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.float_moves (id, receipt, kind, to_shortcode, to_account, amount_cents, operator, event_at)
        SELECT filling.id('move/' || n), 'M' || filling.receipt(n), 'fund', '600009', 'utility', 100, 'filling',
               filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.reversals (
        id, receipt, shortcode, amount_cents, saver_id, deposit_id, operator, evidence, state, conversation_id,
        requested_at, finished_at, expires_at
    )
        SELECT filling.id('reversal/' || n), 'D' || filling.receipt(n), '600000', 100, filling.saver(n),
               filling.id('deposit/' || n), 'filling', 'filling', 'settled', 'reversed-' || n, filling.at(n),
               filling.at(n), filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.reversal_events (id, reversal_id, state, cause, happened_at)
        SELECT filling.id('reversed/' || n), filling.id('reversal/' || n), 'settled', 'result', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.breaks (
        id, kind, subject, amount_cents, suspected_cause, command, opened_at, last_seen_at, closed_at, closed_because
    )
        SELECT filling.id('break/' || n), 'payout_in_doubt', 'payout:' || n, 100, 'filling', 'filling', filling.at(n),
               filling.at(n), filling.at(n), 'filling'
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.balance_requests (
        id, shortcode, state, booked_since, conversation_id, requested_at, submitted_at, finished_at
    )
        SELECT filling.id('balance/' || n), '600000', 'reported', '1', 'balance-' || n, filling.at(n), filling.at(n),
               filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.balance_reports (
        request_id, account, shortcode, balance_cents, requested_at, reported_at, callback_id
    )
        SELECT filling.id('balance/' || n), 'utility', '600009', 0, filling.at(n), filling.at(n),
               filling.id('callback/' || n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO mpesa.statements (id, shortcode, account, day, digest, lines, operator, imported_at)
        SELECT filling.id('statement/' || n), '600009', 'utility', date '2026-01-01', filling.hash('statement/' || n),
               1, 'filling', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO runtime.idempotency_keys (saver_id, key, fingerprint, status, body, created_at)
        SELECT filling.saver(n), 'filling-' || n, '', 200, '', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
    INSERT INTO runtime.audit_log (id, operator, act, subject, reason, before, after, recorded_at)
        SELECT filling.id('act/' || n), 'filling', 'filled', 'row:' || n, 'filling', '{}', '{}', filling.at(n)
          FROM generate_series(1, @ROWS@) AS n;
"""


async def fill(database: Database) -> None:
    """Fill a migrated database. Analyses nothing."""
    await prepare(database)
    await fill_prepared(database)
    await _run(database, "DROP SCHEMA filling CASCADE")


async def prepare(database: Database) -> None:
    """Make the words that filling is written in. A schema that comes or goes has all sessions plan everything anew."""
    await _run(database, WORDS)


async def fill_prepared(database: Database) -> None:
    """Fill in one transaction, by INSERT alone: no session hears of it, so that plans are kept as they were."""
    await _run(database, PAST_TRIGGERS + OF_SAVERS + OF_EVENTS)


async def _run(database: Database, script: str) -> None:
    async with database.connected("supabase_admin") as connection, connection.transaction():
        await connection.execute(script.replace("@SAVERS@", str(SAVERS)).replace("@ROWS@", str(ROWS)))
