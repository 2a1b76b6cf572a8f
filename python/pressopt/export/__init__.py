"""What leaves the program: protocol files, the operator's sheet, tables, pictures, the last words of a run."""

from pressopt.export.answer import Answer, gather
from pressopt.export.document import document_digest, protocol_document, protocol_from_document, read_document
from pressopt.export.files import ExportError, write_all, write_exports, write_pictures
from pressopt.export.sheet import operator_sheet
from pressopt.export.sheet_text import operator_text
from pressopt.export.tables import trials_csv

__all__ = [
    "Answer",
    "ExportError",
    "document_digest",
    "gather",
    "operator_sheet",
    "operator_text",
    "protocol_document",
    "protocol_from_document",
    "read_document",
    "trials_csv",
    "write_all",
    "write_exports",
    "write_pictures",
]
