"""The profile's refusals."""

from zanari_api.kit.errors import Refusal


class PhoneNotEditable(Refusal):
    """A phone number cannot be edited. Sign in with the new number to prove that it is yours."""

    code = "phone_not_editable"
    status = 422


class SaverNotFound(Refusal):
    """There is no saver with this id."""

    code = "saver_not_found"
    status = 404
