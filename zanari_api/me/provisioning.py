"""Makes a saver on the first verified token: profile, wallet, default goal, first rule, the token's number. Once."""

from zanari_api.goals import service as goals
from zanari_api.kit.ids import new_id
from zanari_api.ledger import accounts
from zanari_api.ledger.accounts import AccountKind
from zanari_api.mpesa import lost_numbers
from zanari_api.roundups import rule_service
from zanari_api.runtime.auth import Principal
from zanari_api.runtime.db import Role, Tx
from zanari_api.runtime.deps import Runtime
from zanari_api.users import service as users


async def provision(runtime: Runtime, principal: Principal) -> None:
    """Make the saver of a verified token and link the token's phone, all in one transaction, safe to repeat.

    Raises DatabaseUnavailable, TryAgain.
    """
    index = (await runtime.service_keys.keys()).index

    async def make(tx: Tx) -> None:
        saver_id = principal.saver_id
        wallet_id = new_id()
        made = await users.create(tx, saver_id=saver_id, wallet_account_id=wallet_id, keyring=runtime.keyring)
        if made:
            await accounts.open_accounts(tx, saver_id=saver_id, accounts={wallet_id: AccountKind.WALLET})
            await goals.open_default(tx, saver_id=saver_id)
            await rule_service.open_first(tx, saver_id=saver_id)
        if principal.phone:
            now = runtime.clock.now()
            lost = await users.link_proven_by_auth(
                tx,
                saver_id=saver_id,
                phone=principal.phone,
                issued_at=principal.issued_at,
                now=now,
                index=index,
                keyring=runtime.keyring,
            )
            for number in lost:
                await lost_numbers.stop(tx, number, now=now)

    await runtime.database.unit_of_work(make, role=Role.SYSTEM)
