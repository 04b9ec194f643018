-- A saver's own goals and feed, read by the app as `authenticated` (Supabase Realtime). Nothing else, and never a write.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE POLICY goals_read_by_their_saver ON savings.goals FOR SELECT TO authenticated
    USING (saver_id = (SELECT auth.uid()));
CREATE POLICY transactions_read_by_their_saver ON savings.transactions FOR SELECT TO authenticated
    USING (saver_id = (SELECT auth.uid()));

GRANT SELECT (
    saver_id, id, name, emoji, description, target_cents, due_on, priority, allocation_percent, status, letter,
    locked_until, is_default, created_at, updated_at
) ON savings.goals TO authenticated;
GRANT SELECT (
    saver_id, id, type, status, direction, amount_cents, occurred_at, title, category, goal_id, receipt, round_up,
    explanation, created_at, updated_at
) ON savings.transactions TO authenticated;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'supabase_realtime') THEN
        ALTER PUBLICATION supabase_realtime ADD TABLE
            savings.goals (
                saver_id, id, name, emoji, description, target_cents, due_on, priority, allocation_percent, status,
                letter, locked_until, is_default, created_at, updated_at
            ),
            savings.transactions (
                saver_id, id, type, status, direction, amount_cents, occurred_at, title, category, goal_id, receipt,
                round_up, explanation, created_at, updated_at
            );
    END IF;
END
$$;
