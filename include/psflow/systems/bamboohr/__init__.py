"""BambooHR as the firm's HR, read only: API v1, people by datasets v2."""

from psflow.systems.ports import Registration

REGISTRATION = Registration(
    key="bamboohr",
    role="hr",
    name="BambooHR",
    conn_type="psflow_bamboohr",
    api_version="v1, datasets v2",
    capabilities=frozenset(),
    streams=frozenset({"resource", "employment", "absence"}),
)
