"""Runs the Supabase Auth emulator on a loopback port beside the service."""

from zanari_api.sandbox.auth import TokenMint, create_auth_app
from zanari_api.sandbox.loopback import LoopbackServer


class AuthServer(LoopbackServer):
    """The emulator in a thread of its own, for as long as the block runs."""

    def __init__(self, mint: TokenMint) -> None:
        super().__init__(create_auth_app(mint), name="auth-emulator")

    @property
    def auth_url(self) -> str:
        return f"{self.base_url}/auth/v1"
