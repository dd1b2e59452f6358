"""Our frames are those that the library would have written."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from celery_wsprogress.protocol.frames import payload_of, payloads_of, text_frame

LENGTHS = [0, 1, 2, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, 999_999, 1_000_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_is_what_the_library_would_have_written(length):
    text = b"x" * length
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False)


@pytest.mark.parametrize("length", LENGTHS)
def test_its_text_is_found_again(length):
    text = b"x" * length
    assert payload_of(text_frame(text)) == text


def test_the_texts_of_joined_frames_are_found_again():
    texts = [bytes([65 + number]) * length for number, length in enumerate(LENGTHS)]
    assert payloads_of(b"".join(map(text_frame, texts))) == texts
    assert payloads_of(b"") == []
