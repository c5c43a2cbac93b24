"""Float as the firm's planner: API v3."""

from psflow.systems.ports import Registration

REGISTRATION = Registration(
    key="float",
    role="planner",
    name="Float",
    conn_type="psflow_float",
    api_version="v3",
    capabilities=frozenset(
        {
            "create_project",
            "close_project",
            "request_resource",
            "close_request",
            "assign_resource",
            "release_resource",
        }
    ),
    streams=frozenset({"resource", "work_pattern", "cost_rate", "assignment"}),
)
