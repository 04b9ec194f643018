"""What a saver's request may write of its own saver's rows: it asks, and what comes of that is the system's to say."""

import pytest

from tests.database.acting import acting, request_of, saver_with_a_row_in_each_table
from tests.support.app import Api
from tests.support.postgres import Database
from tests.support.savers import Saver
from zanari_api.kit.clock import utc_now

INSERT_PAYOUT = """
    INSERT INTO savings.payouts (
        saver_id, id, amount_cents, account_id, msisdn, originator_conversation_id, requested_at, due_at, state
    )
    SELECT saver_id, gen_random_uuid(), amount_cents, account_id, msisdn, gen_random_uuid()::text, requested_at,
           requested_at, $1
      FROM savings.payouts LIMIT 1
"""

INSERT_PAYOUT_WITH = """
    INSERT INTO savings.payouts (
        saver_id, id, amount_cents, account_id, msisdn, originator_conversation_id, requested_at, due_at, state, {0}
    )
    SELECT saver_id, gen_random_uuid(), amount_cents, account_id, msisdn, gen_random_uuid()::text, requested_at,
           requested_at, 'requested', {0}
      FROM savings.payouts LIMIT 1
"""


@pytest.fixture(scope="module")
async def amina(module_api: Api) -> Saver:
    return await saver_with_a_row_in_each_table(module_api)


async def test_a_request_asks_for_a_payout_and_takes_no_step_of_one(database: Database, amina: Saver) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.execute(INSERT_PAYOUT, "requested") == "INSERT 0 1"
        for state in ("queued", "submitting", "submitted", "unknown", "settled", "failed"):
            assert await request.is_refused(INSERT_PAYOUT, state), state
        for column in (
            "receipt",
            "settled_at",
            "failed_at",
            "late_receipt",
            "resolvable_at",
            "not_found_twice",
            "proposed_outcome",
            "proposed_by",
            "resend_wanted",
            "submitting_at",
            "attempts",
            "lease_until",
            "lease_id",
            "dead_at",
        ):
            assert await request.is_refused(INSERT_PAYOUT_WITH.format(column)), column
            assert await request.is_refused(f"UPDATE savings.payouts SET {column} = {column}"), column


async def test_a_request_plants_no_word_of_an_operator_or_of_m_pesa(database: Database, amina: Saver) -> None:
    step = """
        INSERT INTO savings.payout_events (saver_id, id, payout_id, state_before, state, cause, operator, happened_at)
        SELECT saver_id, gen_random_uuid(), id, $1, $2, 'requested', $3, now() FROM savings.payouts LIMIT 1
    """
    evidence = """
        INSERT INTO savings.intent_events (saver_id, id, intent_id, state, cause, receipt, happened_at)
        SELECT saver_id, gen_random_uuid(), id, $1, 'requested', $2, now() FROM savings.intents LIMIT 1
    """
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.execute(step, None, "requested", None) == "INSERT 0 1"
        assert await request.is_refused(step, None, "requested", "otieno")
        assert await request.is_refused(step, "unknown", "unknown", None)
        assert await request.is_refused(step, None, "settled", None)
        assert await request.execute(evidence, "requested", None) == "INSERT 0 1"
        assert await request.is_refused(evidence, "requested", "TKX0000001")
        for state in ("submitting", "prompted", "settled", "unresolved"):
            assert await request.is_refused(evidence, state, None), state


async def test_a_request_asks_for_a_collection_or_skips_it_and_settles_none(
    database: Database, amina: Saver
) -> None:
    insert = """
        INSERT INTO savings.collections (
            saver_id, id, intent_id, amount_cents, fee_cents, tariff_valid_from, requested_by, prompts_at, created_at{0}
        )
        SELECT saver_id, gen_random_uuid(), gen_random_uuid(), amount_cents, fee_cents, tariff_valid_from,
               requested_by, prompts_at, created_at{1}
          FROM savings.collections LIMIT 1
    """
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.is_refused(
            insert.format(", state, settled_at, to_wallet_cents", ", 'settled', now(), 0")
        )
        assert await request.is_refused(insert.format(", receipt", ", 'TKX0000001'"))
        for state in ("settled", "failed", "unresolved"):
            assert await request.is_refused("UPDATE savings.collections SET state = $1", state), state
        assert await request.is_refused("UPDATE savings.collections SET receipt = 'TKX0000001'")
        assert await request.execute("UPDATE savings.collections SET state = 'skipped'") == "UPDATE 1"
        assert await request.execute("UPDATE savings.collections SET state = 'skipped'") == "UPDATE 0"
        assert await request.is_refused(
            "INSERT INTO savings.collection_items (saver_id, collection_id, spend_id, place, amount_cents,"
            " settled_cents, outcome) SELECT saver_id, collection_id, spend_id, 9, 1, 1, 'settled'"
            " FROM savings.collection_items"
        )


async def test_a_request_asks_for_a_prompt_and_says_nothing_of_its_outcome(
    database: Database, amina: Saver
) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        for column in (
            "state",
            "receipt",
            "settled_by",
            "finished_at",
            "checkout_hash",
            "submitting_at",
            "prompted_at",
            "attempts",
            "lease_until",
            "dead_at",
        ):
            assert await request.is_refused(
                f"INSERT INTO savings.intents (saver_id, id, {column})"
                f" SELECT saver_id, gen_random_uuid(), {column} FROM savings.intents"
            ), column
        assert await request.is_refused("UPDATE savings.intents SET receipt = 'TKX0000001'")
        assert await request.is_refused("UPDATE savings.intents SET state = 'unresolved'")


async def test_a_request_ends_a_link_for_good(database: Database, amina: Saver) -> None:
    end = "UPDATE savings.mpesa_accounts SET unlinked_at = $1, unlinked_because = $2"
    now = utc_now()
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert (
            await request.execute("UPDATE savings.mpesa_accounts SET made_default_at = now()") == "UPDATE 1"
        )
        assert await request.is_refused(end, now, "proven_by_another_saver")
        assert await request.execute(end, now, "removed_by_saver") == "UPDATE 1"
        assert await request.execute(end, None, None) == "UPDATE 0"
        assert (
            await request.execute("UPDATE savings.mpesa_accounts SET made_default_at = now()") == "UPDATE 0"
        )


async def test_a_refused_ask_stays_counted(database: Database, amina: Saver) -> None:
    async with acting(database, "zanari_service", *request_of(amina.id)) as request:
        assert await request.is_refused("UPDATE savings.refused_links SET refused_at = '-infinity'")
