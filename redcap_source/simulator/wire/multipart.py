"""Reads a multipart/form-data body: parameters and uploaded files."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

from redcap_source.simulator.wire.parameters import Parameters, Upload


def read_multipart(body: bytes, content_type: str) -> Parameters:
    """The parameters and uploads of a body; a part with a file name is an upload."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    pairs: list[tuple[str, str]] = []
    uploads: dict[str, Upload] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", "", header="content-disposition"))
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        file_name = part.get_filename()
        if file_name is None:
            pairs.append((name, content.decode("utf-8", errors="replace")))
        else:
            uploads[name] = Upload(file_name, content, part.get_content_type())
    return Parameters(pairs, uploads)
