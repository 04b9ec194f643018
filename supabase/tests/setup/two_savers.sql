-- Two savers with a goal and a feed row each, made by the migrations' role: the tests that follow come as
-- `authenticator`, which may make nothing. The rows are committed, as Realtime would find them.
INSERT INTO savings.savers (saver_id, member_code, wallet_account_id, data_key) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', '00000011', 'aaaaaaaa-0000-4000-8000-0000000000aa', '\x00'),
    ('bbbbbbbb-0000-4000-8000-000000000001', '00000022', 'bbbbbbbb-0000-4000-8000-0000000000aa', '\x00');

INSERT INTO savings.goals (saver_id, id, account_id, name, priority, is_default) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002',
     'aaaaaaaa-0000-4000-8000-0000000000bb', 'Spare change of Amina', 1, true),
    ('bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000002',
     'bbbbbbbb-0000-4000-8000-0000000000bb', 'Spare change of Baraka', 1, true);

INSERT INTO savings.transactions
    (saver_id, id, type, status, direction, amount_cents, occurred_at, title, explanation, private) VALUES
    ('aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000003',
     'deposit', 'completed', 'in', 50000, '2026-11-23 08:00+00', 'Deposit of Amina', '{}', '\x01'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000003',
     'deposit', 'completed', 'in', 70000, '2026-11-23 09:00+00', 'Deposit of Baraka', '{}', '\x01');
