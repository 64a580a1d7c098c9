"""Mails about accounts, as tasks: whoever sends messages finds the address and the link in the task alone."""

from models.documents.invitation import Invitation
from models.documents.password_reset import PasswordReset
from models.documents.task import Task
from models.documents.tenant import Tenant
from models.documents.user import User
from models.ids import new_id

__all__ = ["invitation_mail", "reset_mail"]

_DAY_S = 86_400
_MINUTE_S = 60


def invitation_mail(invitation: Invitation, tenant: Tenant, inviter: User, link: str) -> Task:
    """Return the task that mails an invitation."""
    days = round((invitation.expires_at - invitation.created_at).total_seconds() / _DAY_S)
    values: dict[str, str | int] = {"company": tenant.name, "link": link, "days": days}
    values["inviter"] = inviter.name or inviter.email
    return _mail(tenant, "invitation", invitation.email, values)


def reset_mail(reset: PasswordReset, tenant: Tenant, user: User, link: str) -> Task:
    """Return the task that mails the link to a new password."""
    minutes = round((reset.expires_at - reset.created_at).total_seconds() / _MINUTE_S)
    values: dict[str, str | int] = {"company": tenant.name, "link": link, "minutes": minutes}
    if user.name is not None:
        values["name"] = user.name
    return _mail(tenant, "password-reset", user.email, values)


def _mail(tenant: Tenant, template: str, email: str, values: dict[str, str | int]) -> Task:
    payload = {
        "template": template,
        "language": tenant.settings.language,
        "to": {"email": email},
        "channels": ["email"],
        "values": values,
    }
    return Task(id=new_id("tsk"), tenant=tenant.id, kind="message", payload=payload)
