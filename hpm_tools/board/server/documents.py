"""Documents that agents leave for each other."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy import Connection, RowMapping, delete, select, update

from hpm_tools.board.server.clock import naive_utc
from hpm_tools.board.server.database import rowid
from hpm_tools.board.server.desk import DeskDep, KeyedRoute, documented_key
from hpm_tools.board.server.mentions import mention
from hpm_tools.board.server.rows import add, saw
from hpm_tools.board.server.schemas import (
    DocumentCreateRequest,
    DocumentResponse,
    DocumentType,
    DocumentUpdateRequest,
)
from hpm_tools.board.server.tables import documents, mentions

LONGEST_CONTENT = 50_000

router = APIRouter(
    prefix="/api/v1/documents",
    tags=["Documents"],
    route_class=KeyedRoute,
    dependencies=[Depends(documented_key)],
)


@router.post(
    "",
    response_model=DocumentResponse,
    summary="Create a document",
    description="Create a new document with automatic @mention detection",
)
def create_document(
    desk: DeskDep,
    request: DocumentCreateRequest,
    author_id: Annotated[str, Query(description="Agent ID of the author")],
) -> dict[str, Any]:
    _check_length(request.content)
    now = desk.clock.now()
    new = {**request.model_dump(), "author_id": author_id, "created_at": now, "updated_at": now}
    if request.expires_at is not None:
        new["expires_at"] = naive_utc(request.expires_at)
    with desk.database.write() as connection:
        saw(desk, connection, author_id)
        document_id = add(connection, documents, new)
        mention(connection, request.content, author_id, now, document_id=document_id)
        return _shown(connection, document_id)


@router.get(
    "",
    response_model=list[DocumentResponse],
    summary="List documents",
    description="List documents by type, with optional filtering",
)
def list_documents(
    desk: DeskDep,
    doc_type: Annotated[DocumentType | None, Query(description="Filter by document type")] = None,
    author_id: Annotated[str | None, Query(description="Filter by author")] = None,
    limit: Annotated[int, Query(description="Maximum number of documents to return")] = 1000,
) -> list[dict[str, Any]]:
    query = documents.select().order_by(documents.c.created_at.desc(), documents.c.id.desc())
    if doc_type is not None:
        query = query.where(documents.c.doc_type == doc_type)
    if author_id:
        query = query.where(documents.c.author_id == author_id)
    with desk.database.read() as connection:
        rows = connection.execute(query.limit(rowid(limit))).mappings().all()
        return [_with_mentions(connection, row) for row in rows]


@router.get(
    "/{document_id}",
    response_model=DocumentResponse,
    summary="Get document",
    description="Get a specific document by ID",
)
def get_document(desk: DeskDep, document_id: int) -> dict[str, Any]:
    with desk.database.read() as connection:
        return _shown(connection, document_id)


@router.put(
    "/{document_id}",
    response_model=DocumentResponse,
    summary="Update document",
    description="Update an existing document",
)
def update_document(desk: DeskDep, document_id: int, request: DocumentUpdateRequest) -> dict[str, Any]:
    now = desk.clock.now()
    given = {name: value for name, value in request.model_dump().items() if value is not None}
    _check_length(given.get("content", ""))
    with desk.database.write() as connection:
        author = _shown(connection, document_id)["author_id"]
        changed = update(documents).where(documents.c.id == document_id)
        connection.execute(changed.values(updated_at=now, **given))
        if "content" in given:
            connection.execute(delete(mentions).where(mentions.c.document_id == document_id))
            mention(connection, given["content"], author, now, document_id=document_id)
        return _shown(connection, document_id)


@router.delete(
    "/{document_id}",
    response_model=None,
    summary="Delete document",
    description="Delete a document and its mentions",
)
def delete_document(desk: DeskDep, document_id: int) -> dict[str, str]:
    with desk.database.write() as connection:
        _shown(connection, document_id)
        connection.execute(delete(documents).where(documents.c.id == document_id))
    return {"message": "Document deleted successfully"}


def _check_length(content: str) -> None:
    if len(content) > LONGEST_CONTENT:
        raise HTTPException(400, "Document content exceeds maximum length of 50,000 characters")


def _shown(connection: Connection, document_id: int) -> dict[str, Any]:
    row = (
        connection.execute(documents.select().where(documents.c.id == rowid(document_id))).mappings().first()
    )
    if row is None:
        raise HTTPException(
            404, f"Document with ID {document_id} not found. Please verify the document ID exists."
        )
    return _with_mentions(connection, row)


def _with_mentions(connection: Connection, row: RowMapping) -> dict[str, Any]:
    named = select(mentions.c.mentioned_agent_id).where(mentions.c.document_id == row["id"])
    return {**row, "mentions": connection.execute(named.order_by(mentions.c.id)).scalars().all()}
