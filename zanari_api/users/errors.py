"""The refusals of the profile and of the PIN."""

from zanari_api.kit.errors import Refusal


class PhoneNotEditable(Refusal):
    """A phone number cannot be edited. Sign in with the new number to prove that it is yours."""

    code = "phone_not_editable"
    status = 422


class SaverNotFound(Refusal):
    """There is no saver with this id."""

    code = "saver_not_found"
    status = 404


class PinNotSet(Refusal):
    """You have no PIN yet. Set one first."""

    code = "pin_not_set"
    status = 409


class PinTooWeak(Refusal):
    """This PIN is too easy to guess. Choose another."""

    code = "pin_too_weak"
    status = 422


class PinWrong(Refusal):
    """That is not your PIN."""

    code = "pin_wrong"
    status = 403


class PinLocked(Refusal):
    """There were too many wrong PINs. Wait as long as Retry-After says."""

    code = "pin_locked"
    status = 403


class FreshSignInRequired(Refusal):
    """Send your current PIN too. To replace one that you forgot, sign in again first; payouts then wait 48 hours."""

    code = "fresh_sign_in_required"
    status = 403


class PhoneInUse(Refusal):
    """Another saver has proven this number to be theirs. To pay from it, use your member code as account number."""

    code = "phone_in_use"


class NumberAlreadyLinked(Refusal):
    """This number is linked to you already."""

    code = "number_already_linked"


class NumberInUse(Refusal):
    """A prompt or a withdrawal to this number is under way. Unlink it when that has come to its end."""

    code = "account_in_use"


class TooManyLinksAsked(Refusal):
    """You have asked for as many numbers to be linked as you can on one day."""

    code = "too_many_links_asked"
    status = 429
