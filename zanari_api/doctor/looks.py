"""Everything that is looked at, in the order in which it is told."""

from typing import Final

from zanari_api.doctor import access, books, database, own, safaricom, supabase
from zanari_api.doctor.examination import Look

LOOKS: Final = (
    Look("settings", own.variables_are_fit),
    Look("database", database.reached),
    Look("migrations", database.migrated, needs_database=True),
    Look("durability", database.durable, needs_database=True),
    Look("login", database.login_is_weak, needs_database=True),
    Look("roles", access.roles_are_right, needs_database=True),
    Look("grants", access.grants_are_right, needs_database=True),
    Look("row_security", access.rows_are_secured, needs_database=True),
    Look("connections", database.has_room, needs_database=True),
    Look("database_clock", database.at_our_time, needs_database=True),
    Look("books", books.books_hold, needs_database=True),
    Look("chain", books.chain_holds, needs_database=True),
    Look("pii_keys", own.keys_open_what_is_kept, needs_database=True),
    Look("webhook", own.webhook_has_keys),
    Look("jwks", supabase.keys_are_there),
    Look("supabase_clock", supabase.clock_is_right),
    Look("storage", supabase.bucket_is_private),
    Look("pitr", supabase.backups_go_to_any_moment),
    Look("daraja", safaricom.is_reached),
    Look("daraja_clock", safaricom.clock_is_right),
    Look("daraja_token", safaricom.token_is_given, needs_database=True),
    Look("callback_url", safaricom.calls_come_back),
    Look("mpesa_certificate", safaricom.certificate_is_valid),
    Look("initiator_password", safaricom.password_is_young),
    Look("sms_gateway", own.messages_can_go),
)
