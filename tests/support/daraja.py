"""What a Daraja app is given by Safaricom, made for the tests. Talks to nothing."""

from zanari_api.sandbox.safaricom.credentials import certificate_of_this_process


def certificate_pem() -> str:
    """Return a self-signed certificate as PEM text, the same one all through a run."""
    return certificate_of_this_process().pem
