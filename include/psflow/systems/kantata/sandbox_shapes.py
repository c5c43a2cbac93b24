"""What the Kantata sandbox knows of the vendor's resources: associations, and what a create or an update takes."""

from __future__ import annotations

_REFERENCES = {"external_references": ("external_reference_ids", "external_references")}
_WORKSPACE = {"workspace": ("workspace_id", "workspaces")}
_USER = {"user": ("user_id", "users")}
_ROLE = {"role": ("role_id", "roles")}
_SUBMISSIONS = {
    "active_submission": ("active_submission_id", "expense_report_submissions"),
    "recent_submission": ("recent_submission_id", "expense_report_submissions"),
}

# kind -> association -> (foreign key, kind it points to). A key that ends in _ids is a list.
ASSOCIATIONS: dict[str, dict[str, tuple[str, str]]] = {
    "users": _ROLE | _REFERENCES,
    "roles": _REFERENCES,
    "skills": _REFERENCES,
    "skill_memberships": {"skill": ("skill_id", "skills")} | _USER,
    "rate_card_sets": {
        "rate_cards": ("rate_card_ids", "rate_cards"),
        "rate_card_set_versions": ("rate_card_set_version_ids", "rate_card_set_versions"),
    },
    "rate_card_set_versions": {
        "rate_card_set": ("rate_card_set_id", "rate_card_sets"),
        "rate_card_versions": ("rate_card_version_ids", "rate_card_versions"),
    },
    "rate_cards": {
        "rate_card_set": ("rate_card_set_id", "rate_card_sets"),
        "rate_card_versions": ("rate_card_version_ids", "rate_card_versions"),
    },
    "rate_card_versions": {
        "rate_card": ("rate_card_id", "rate_cards"),
        "rate_card_set_version": ("rate_card_set_version_id", "rate_card_set_versions"),
        "rate_card_roles": ("rate_card_role_ids", "rate_card_roles"),
    },
    "rate_card_roles": _ROLE | {"rate_card_version": ("rate_card_version_id", "rate_card_versions")},
    "project_templates": _USER,
    "workspaces": _REFERENCES,
    "stories": _WORKSPACE | {"parent": ("parent_id", "stories")} | _REFERENCES,
    "time_entries": _WORKSPACE | _USER | _ROLE | _REFERENCES,
    "expenses": _WORKSPACE | _USER | _SUBMISSIONS | {"story": ("story_id", "stories")} | _REFERENCES,
    "expense_report_submissions": _WORKSPACE | _USER | {"expenses": ("expense_ids", "expenses")} | _REFERENCES,
    "workspace_resources": _WORKSPACE | _USER | _ROLE | _REFERENCES,
    "workspace_allocations": _WORKSPACE
    | {"workspace_resource": ("workspace_resource_id", "workspace_resources")}
    | _REFERENCES,
    "staffing_demands": _WORKSPACE | _ROLE,
    "invoices": {
        "time_entries": ("time_entry_ids", "time_entries"),
        "expenses": ("expense_ids", "expenses"),
        "fixed_fee_items": ("fixed_fee_item_ids", "fixed_fee_items"),
        "additional_items": ("additional_item_ids", "additional_items"),
        "billing_milestones": ("billing_milestone_ids", "billing_milestones"),
        "time_adjustments": ("time_adjustment_ids", "time_adjustments"),
        "workspaces": ("workspace_ids", "workspaces"),
    }
    | _REFERENCES,
    "fixed_fee_items": {},
    "additional_items": {},
    "billing_milestones": _WORKSPACE,
    "time_adjustments": _WORKSPACE | _USER | {"story": ("story_id", "stories")},
    "external_references": {},
}
# associations whose foreign key is no attribute: it is in the answer only when the association is included
HIDDEN = {"rate_card_sets", "rate_card_versions", "rate_card_roles", "skill_memberships"}
# the others have no updated_at
STAMPED = {"workspaces", "time_entries", "expenses", "expense_report_submissions", "stories", "external_references"}
STAMPED |= {"workspace_resources", "workspace_allocations", "staffing_demands", "invoices"}
SUBJECT = {
    "workspaces": "Workspace",
    "time_entries": "TimeEntry",
    "expenses": "Expense",
    "stories": "Story",
    "workspace_resources": "WorkspaceResource",
    "workspace_allocations": "WorkspaceAllocation",
    "staffing_demands": "StaffingDemand",
    "users": "User",
    "roles": "Role",
}
# kind -> the parameter without which the records of archived workspaces are left out
FROM_ARCHIVED = {
    "time_entries": "from_archived_workspaces",
    "expenses": "from_archived_workspaces",
    "stories": "show_from_archived_workspaces",
}
SINGULAR = {
    "workspaces": "workspace",
    "time_entries": "time_entry",
    "expenses": "expense",
    "stories": "story",
    "workspace_resources": "workspace_resource",
    "workspace_allocations": "workspace_allocation",
    "staffing_demands": "staffing_demand",
}


def _names(text: str) -> set[str]:
    return set(text.split())


UPDATE: dict[str, set[str]] = {
    "workspaces": _names(
        "title budgeted description archived access_level price start_date due_date rate_card_id currency "
        "target_margin status_key external_link stage time_trackable external_reference"
    ),
    "time_entries": _names(
        "workspace_id date_performed time_in_minutes billable notes rate_in_cents role_id story_id user_id "
        "location external_reference"
    ),
    "expenses": _names("date category amount_in_cents notes user_id receipt_id billable story_id external_reference"),
    "stories": _names(
        "title story_type description parent_id start_date due_date archived billable percentage_complete state "
        "priority time_trackable external_reference"
    ),
    "workspace_resources": _names("label user_id role_id external_reference"),
    "workspace_allocations": _names("start_date end_date minutes hard notes external_reference"),
    "staffing_demands": _names(
        "description title start_date end_date quantity workspace_id role_id status external_reference"
    ),
}
_TEMPLATE = _names("project_tracker_template_id project_template_start_date")
CREATE: dict[str, set[str]] = UPDATE | {
    "workspaces": UPDATE["workspaces"] - {"archived"} | {"creator_role", "custom_fields", "participations"} | _TEMPLATE,
    "expenses": UPDATE["expenses"] | {"workspace_id", "reimbursable"},
    "stories": UPDATE["stories"] | {"workspace_id"},
    "workspace_resources": _names("workspace_id user_id role_id external_reference"),
    "workspace_allocations": UPDATE["workspace_allocations"] | {"resource_id"},
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "time_entries": ("workspace_id", "date_performed", "time_in_minutes"),
    "expenses": ("workspace_id", "date", "category", "amount_in_cents"),
    "stories": ("title", "story_type", "workspace_id"),
    "workspace_resources": ("workspace_id",),
    "workspace_allocations": ("start_date", "end_date", "minutes"),
    "staffing_demands": ("title", "workspace_id"),
}
REQUIRED_ONCE = {"workspace_allocations": ("resource_id",)}  # by a create only
POINTS_TO = {
    "workspace_id": "workspaces",
    "resource_id": "workspace_resources",
    "user_id": "users",
    "role_id": "roles",
    "rate_card_id": "rate_cards",
    "project_tracker_template_id": "project_templates",
}
