-- The promises of the books, kept by the database itself: whoever writes, by whatever path, as whatever role.
-- The guards run once per statement over the rows it added, so they cost a batch little and see it whole.
-- Each names the rule it found broken as the error's constraint, with SQLSTATE 23514.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- What is added -------------------------------------------------------------------------------------------
CREATE FUNCTION ledger.guard_transfers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    broken record;
BEGIN
    SELECT a.key INTO broken
      FROM added AS a
     WHERE NOT EXISTS (SELECT FROM ledger.entries AS e WHERE e.transfer_id = a.id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transfer % has no entries', broken.key
            USING ERRCODE = '23514', CONSTRAINT = 'transfers_have_entries', SCHEMA = 'ledger', TABLE = 'transfers';
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION ledger.guard_transfers() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.guard_transfers() FROM PUBLIC;

CREATE TRIGGER transfers_have_entries
    AFTER INSERT ON ledger.transfers REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_transfers();

CREATE FUNCTION ledger.guard_entries() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    broken record;
BEGIN
    SELECT g.transfer_id, g.rule INTO broken
      FROM (
               SELECT a.transfer_id,
                      CASE
                          WHEN count(*) < 2 THEN 'entries_two_at_least'
                          WHEN sum(a.amount_cents) <> 0 THEN 'entries_sum_to_zero'
                          WHEN count(c.id) < count(*) THEN 'entries_account_known'
                          WHEN count(c.closed_at) > 0 THEN 'entries_account_open'
                          WHEN min(c.currency) <> max(c.currency) THEN 'entries_one_currency'
                          WHEN bool_or((a.account_version IS NULL) <> (c.saver_id IS NULL)) THEN 'entries_versions_on_savers_only'
                          WHEN count(*) <> (SELECT count(*) FROM ledger.entries AS e WHERE e.transfer_id = a.transfer_id)
                              THEN 'entries_in_one_statement'
                          -- A count, not EXISTS: the planner may answer that one from a hash of the whole table.
                          WHEN (SELECT count(*) FROM ledger.transfers AS t WHERE t.id = a.transfer_id) = 0
                              THEN 'entries_transfer_known'
                      END AS rule
                 FROM added AS a
                 LEFT JOIN ledger.accounts AS c ON c.id = a.account_id
                GROUP BY a.transfer_id
           ) AS g
     WHERE g.rule IS NOT NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of transfer % break %', broken.transfer_id, broken.rule
            USING ERRCODE = '23514', CONSTRAINT = broken.rule, SCHEMA = 'ledger', TABLE = 'entries';
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION ledger.guard_entries() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.guard_entries() FROM PUBLIC;

CREATE TRIGGER entries_make_whole_transfers
    AFTER INSERT ON ledger.entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_entries();

-- Versions of one account follow each other without a gap from 1, each entry starts from the amount its
-- predecessor ended with, none of them ends on the wrong side of zero, and the last is the balance row.
CREATE FUNCTION ledger.guard_chains() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    broken record;
BEGIN
    SELECT g.account_id, g.rule INTO broken
      FROM (
               SELECT a.account_id,
                      CASE
                          WHEN a.account_version > 1 AND p.id IS NULL THEN 'entries_version_without_gap'
                          WHEN a.account_previous_cents <> coalesce(p.account_current_cents, 0) THEN 'entries_previous_matches'
                          WHEN CASE b.kind WHEN 'receivable' THEN a.account_current_cents > 0 ELSE a.account_current_cents < 0 END
                              THEN 'entries_never_overdraw'
                          WHEN b.version > a.account_version THEN NULL -- not the account's last
                          WHEN (b.version, b.balance_cents) IS DISTINCT FROM (a.account_version, a.account_current_cents)
                              THEN 'entries_balance_moved'
                      END AS rule
                 FROM added AS a
                 LEFT JOIN ledger.entries AS p
                   ON p.account_id = a.account_id AND p.account_version = a.account_version - 1
                 LEFT JOIN ledger.balances AS b ON b.account_id = a.account_id
                WHERE a.account_version IS NOT NULL
           ) AS g
     WHERE g.rule IS NOT NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the entries of account % break %', broken.account_id, broken.rule
            USING ERRCODE = '23514', CONSTRAINT = broken.rule, SCHEMA = 'ledger', TABLE = 'entries';
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION ledger.guard_chains() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.guard_chains() FROM PUBLIC;

CREATE TRIGGER entries_continue_the_chain
    AFTER INSERT ON ledger.entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_chains();

-- The other side of entries_balance_moved: no balance moves without the entry that moved it.
CREATE FUNCTION ledger.guard_balances() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    broken record;
BEGIN
    SELECT m.account_id INTO broken
      FROM moved AS m
      LEFT JOIN ledger.entries AS e ON e.account_id = m.account_id AND e.account_version = m.version
     WHERE e.account_current_cents IS DISTINCT FROM m.balance_cents
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the balance of account % is not its last entry', broken.account_id
            USING ERRCODE = '23514', CONSTRAINT = 'balances_follow_entries', SCHEMA = 'ledger', TABLE = 'balances';
    END IF;
    RETURN NULL;
END
$$;
ALTER FUNCTION ledger.guard_balances() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.guard_balances() FROM PUBLIC;

CREATE TRIGGER balances_follow_entries
    AFTER UPDATE ON ledger.balances REFERENCING NEW TABLE AS moved
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.guard_balances();

-- What is there stays -------------------------------------------------------------------------------------
-- By statement, not by row: an attempt that would touch no row is refused as well.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION '% on ledger.% is refused: the books are corrected by new transfers', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '23514', CONSTRAINT = TG_NAME, SCHEMA = 'ledger', TABLE = TG_TABLE_NAME;
END
$$;
ALTER FUNCTION ledger.refuse_change() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.refuse_change() FROM PUBLIC;

CREATE TRIGGER entries_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER transfers_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER accounts_never_deleted
    BEFORE DELETE OR TRUNCATE ON ledger.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balances_never_deleted
    BEFORE DELETE OR TRUNCATE ON ledger.balances
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- By row, and free where the condition is false: a balance starts empty and never returns to an earlier entry.
CREATE TRIGGER balances_open_without_money
    BEFORE INSERT ON ledger.balances
    FOR EACH ROW WHEN (NEW.version <> 0) EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER balances_version_grows
    BEFORE UPDATE ON ledger.balances
    FOR EACH ROW WHEN (NEW.version <= OLD.version) EXECUTE FUNCTION ledger.refuse_change();

CREATE FUNCTION ledger.guard_closing() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
DECLARE
    rule text := CASE
        WHEN OLD.closed_at IS NOT NULL OR to_jsonb(NEW) - 'closed_at' <> to_jsonb(OLD) - 'closed_at' THEN 'accounts_only_close'
        WHEN EXISTS (SELECT FROM ledger.balances AS b WHERE b.account_id = NEW.id AND b.balance_cents <> 0) THEN 'accounts_close_empty'
    END;
BEGIN
    IF rule IS NOT NULL THEN
        RAISE EXCEPTION 'the change of account % breaks %', OLD.id, rule
            USING ERRCODE = '23514', CONSTRAINT = rule, SCHEMA = 'ledger', TABLE = 'accounts';
    END IF;
    RETURN NEW;
END
$$;
ALTER FUNCTION ledger.guard_closing() OWNER TO zanari_ledger_owner;
REVOKE ALL ON FUNCTION ledger.guard_closing() FROM PUBLIC;

CREATE TRIGGER accounts_only_close
    BEFORE UPDATE ON ledger.accounts
    FOR EACH ROW EXECUTE FUNCTION ledger.guard_closing();
