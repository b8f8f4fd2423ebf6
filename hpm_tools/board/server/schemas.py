"""Bodies of requests and answers. Names, types, defaults and texts are the real server's description."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator


class AgentRole(StrEnum):
    FRONTEND_DEV = "frontend_dev"
    BACKEND_DEV = "backend_dev"
    QA = "qa"
    ARCHITECT = "architect"
    PM = "pm"


class DifficultyLevel(StrEnum):
    JUNIOR = "junior"
    SENIOR = "senior"
    PRINCIPAL = "principal"


class ConnectionType(StrEnum):
    MCP = "mcp"
    CLIENT = "client"


class TaskComplexity(StrEnum):
    MINOR = "minor"
    MAJOR = "major"


class TaskStatus(StrEnum):
    PENDING = "pending"
    CREATED = "created"
    UNDER_WORK = "under_work"
    DEV_DONE = "dev_done"
    QA_DONE = "qa_done"
    DOCUMENTATION_DONE = "documentation_done"
    COMMITTED = "committed"
    EVALUATION = "evaluation"
    APPROVED = "approved"


class TaskType(StrEnum):
    REGULAR = "regular"
    WAITING = "waiting"


class DocumentType(StrEnum):
    STANDUP = "standup"
    CRITICAL_ISSUE = "critical_issue"
    SERVICE_STATUS = "service_status"
    UPDATE = "update"


class ServiceStatus(StrEnum):
    UP = "up"
    DOWN = "down"
    STARTING = "starting"


def _storable(value: Any) -> Any:
    """Refuse what Python's JSON reader lets in and no JSON writer lets out: NaN, infinity, lone surrogates."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("text must be valid Unicode") from error
    if isinstance(value, dict):
        for key, item in value.items():
            _storable(key)
            _storable(item)
    if isinstance(value, list):
        for item in value:
            _storable(item)
    return value


class Body(BaseModel):
    """What a request carries."""

    check_storable = model_validator(mode="before")(_storable)


class AgentRegisterRequest(Body):
    agent_id: str = Field(description="Unique agent identifier (e.g., 'frontend_dev_senior_001')")
    role: AgentRole = Field(description="Agent's role in the project")
    level: DifficultyLevel = Field(description="Agent's skill level")
    connection_type: ConnectionType | None = Field(
        ConnectionType.CLIENT, description="Connection type (MCP or Client)"
    )


class AgentResponse(BaseModel):
    id: int
    agent_id: str
    role: AgentRole
    level: DifficultyLevel
    connection_type: ConnectionType | None
    last_seen: datetime


class EpicCreateRequest(Body):
    name: str = Field(description="Epic name")
    description: str = Field(description="Epic description")


class EpicResponse(BaseModel):
    id: int
    name: str
    description: str
    created_at: datetime
    task_count: int = 0
    completed_task_count: int = 0
    in_progress_task_count: int = 0


class FeatureCreateRequest(Body):
    epic_id: int = Field(description="ID of the epic this feature belongs to")
    name: str = Field(description="Feature name")
    description: str = Field(description="Feature description")


class FeatureResponse(BaseModel):
    id: int
    epic_id: int
    name: str
    description: str


class TaskCreateRequest(Body):
    feature_id: int = Field(description="ID of the feature this task belongs to")
    title: str = Field(description="Brief task title")
    description: str = Field(description="Detailed task description")
    target_role: AgentRole = Field(description="Role that should handle this task")
    difficulty: DifficultyLevel = Field(description="Task difficulty level")
    complexity: TaskComplexity = Field(
        TaskComplexity.MAJOR, description="Task complexity (minor = commit to main, major = requires PR)"
    )
    branch: str = Field(description="Git branch for this task")


class TaskResponse(BaseModel):
    id: int
    feature_id: int
    epic_id: int
    title: str
    description: str
    created_by: str
    target_role: AgentRole
    difficulty: DifficultyLevel
    complexity: TaskComplexity
    branch: str
    status: TaskStatus
    locked_by: str | None = None
    locked_at: datetime | None = None
    notes: str | None = None
    created_at: datetime
    updated_at: datetime
    task_type: TaskType | None = TaskType.REGULAR
    poll_interval: int | None = None


class TaskStatusUpdateRequest(Body):
    status: TaskStatus = Field(description="New status for the task")
    notes: str | None = Field(None, description="Optional notes about the status change")


class TaskStatusUpdateResponse(BaseModel):
    task: TaskResponse
    next_task: TaskResponse | None = None
    workflow_status: str = Field(description="continue | waiting | no_tasks")
    task_completed: int | None = Field(None, description="ID of completed task")
    auto_continue: bool = Field(default=True, description="Whether to automatically continue to next task")
    continuation_prompt: str = Field(
        "Continue with the next task without waiting for confirmation",
        description="Instruction for autonomous continuation",
    )
    session_momentum: str = Field("high", description="high | medium | low - indicates work pace")


class TaskCommentRequest(Body):
    comment: str = Field(description="Comment to add to the task")


class ChangelogResponse(BaseModel):
    id: int
    task_id: int
    old_status: TaskStatus
    new_status: TaskStatus
    changed_by: str
    notes: str | None = None
    changed_at: datetime


class MentionResponse(BaseModel):
    id: int
    document_id: int | None = None
    task_id: int | None = None
    mentioned_agent_id: str
    created_by: str
    is_read: bool
    created_at: datetime
    document_title: str | None = None
    task_title: str | None = None


class AgentRegistrationResponse(BaseModel):
    agent: AgentResponse
    next_task: TaskResponse | None = None
    mentions: list[MentionResponse] = []


class ProjectContextResponse(BaseModel):
    project_name: str
    shared_path: str
    instructions_path: str
    project_docs_path: str
    database_type: str


class DocumentCreateRequest(Body):
    doc_type: DocumentType = Field(description="Type of document")
    title: str = Field(max_length=200, description="Document title")
    content: str = Field(description="Document content (Markdown supported)")
    meta_data: dict[str, Any] | None = Field(None, description="Additional meta_data")
    expires_at: datetime | None = Field(None, description="Auto-cleanup expiration time")


class DocumentUpdateRequest(Body):
    title: Annotated[str, Field(max_length=200)] | None = Field(None, description="Updated title")
    content: str | None = Field(None, description="Updated content")
    meta_data: dict[str, Any] | None = Field(None, description="Updated meta_data")


class DocumentResponse(BaseModel):
    id: int
    doc_type: DocumentType
    author_id: str
    title: str
    content: str
    meta_data: dict[str, Any] | None = None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    mentions: list[str] = []


class ServiceRegisterRequest(Body):
    service_name: str = Field(max_length=100, description="Unique service name")
    ping_url: str = Field(description="URL to ping for health check (e.g., http://localhost:8080/health)")
    port: int | None = Field(None, description="Port number if applicable")
    status: ServiceStatus = Field(ServiceStatus.UP, description="Service status")
    meta_data: dict[str, Any] | None = Field(None, description="Additional service meta_data")


class ServiceResponse(BaseModel):
    id: int
    service_name: str
    owner_agent_id: str
    ping_url: str
    port: int | None = None
    status: ServiceStatus
    last_heartbeat: datetime | None = None
    last_ping_at: datetime | None = None
    last_ping_success: bool | None = None
    meta_data: dict[str, Any] | None = None
    updated_at: datetime


class ChangeEvent(BaseModel):
    type: str
    timestamp: datetime
    data: dict[str, Any]


class ChangesResponse(BaseModel):
    changes: list[ChangeEvent]
    last_timestamp: datetime
