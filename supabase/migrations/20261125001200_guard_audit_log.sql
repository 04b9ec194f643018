-- The record of operators' acts is as immutable as the books: by triggers as well as by grants. It is sealed with them.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Which transaction wrote a line, as ledger.transfers knows it: sealing takes lines in the order in which they became
-- visible. The default is stable, so lines from before get this transaction's id and the table is not rewritten.
ALTER TABLE runtime.audit_log ADD COLUMN xact xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN runtime.audit_log.xact IS 'The writing transaction: with pg_snapshot_xmin it tells which lines no running transaction can add to.';

-- Acts of operators are few, and an operator who has to wait a moment types the verb again.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_log_in_order ON runtime.audit_log (xact, id);

-- By statement, not by row: an attempt that would touch no line is refused as well.
CREATE FUNCTION runtime.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION '% on runtime.% is refused: what was done stays on record', TG_OP, TG_TABLE_NAME
        USING ERRCODE = '23514', CONSTRAINT = TG_NAME, SCHEMA = 'runtime', TABLE = TG_TABLE_NAME;
END
$$;
REVOKE ALL ON FUNCTION runtime.refuse_change() FROM PUBLIC;

CREATE TRIGGER audit_log_immutable
    BEFORE UPDATE OR DELETE OR TRUNCATE ON runtime.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION runtime.refuse_change();

-- Who wrote a line and when is Postgres's to say: nobody dates one back.
REVOKE INSERT ON runtime.audit_log FROM zanari_system;
GRANT INSERT (id, operator, act, subject, reason, before, after) ON runtime.audit_log TO zanari_system;

-- Whoever seals reads the lines, and no more.
GRANT USAGE ON SCHEMA runtime TO zanari_ledger_owner;
GRANT SELECT ON runtime.audit_log TO zanari_ledger_owner;
CREATE POLICY audit_log_for_sealing ON runtime.audit_log FOR SELECT TO zanari_ledger_owner USING (true);
