"""The simulated EOS, spoken to in plain PTP/IP: what it serves, what it refuses, whom it survives."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from eos_body import CopyingBody
from ptp_client import initiator, session

from dpedkit.capture.simulate.eos import EosServer
from dpedkit.capture.simulate.faults import Script, ScriptedFault
from dpedkit.capture.simulate.ptp import (
    ALL,
    ConnectionClosed,
    Operation,
    Packet,
    Status,
    read_packet,
    send_packet,
)

SET_PROPERTY, GET_EVENT, RELEASE_ON, RELEASE_OFF = 0x9110, 0x9116, 0x9128, 0x9129
HOST_CAPACITY = 0x911A
ISO, SERIAL_NUMBER, AVAILABLE_SHOTS, DESTINATION = 0xD103, 0xD1AF, 0xD11B, 0xD11C
CARD, HOST = 2, 4


def fill(body: CopyingBody, jpeg: Path) -> None:
    body.photo(1).write_bytes(jpeg.read_bytes())


def test_nothing_but_the_device_info_is_told_before_a_session_is_open(server: EosServer) -> None:
    with initiator(server.port) as me:
        status, info = me.ask(Operation.GET_DEVICE_INFO)
        assert status == Status.OK
        assert "Canon EOS 70D".encode("utf-16-le") in info
        assert me.ask(Operation.GET_OBJECT_HANDLES, ALL, 0, 0)[0] == Status.SESSION_NOT_OPEN


def test_only_what_lies_on_the_card_is_served(body: CopyingBody, server: EosServer, jpeg: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text("{}")
    fill(body, jpeg)
    body.photo(2).symlink_to(tmp_path / "truth.json")
    body.photo(1).with_name(".half.jpg").write_bytes(b"")
    (body.card / "truth").symlink_to(tmp_path)
    with session(server.port) as me:
        everything = me.handles(0)
        names = [me.ask(Operation.GET_OBJECT_INFO, handle)[1] for handle in everything]
        assert len(everything) == 3
        assert [name in info for info, name in zip(names, map(utf16, ["DCIM", "100CANON", "IMG_0001"]), strict=True)]
        photo = everything[-1]
        assert me.ask(Operation.GET_OBJECT, photo) == (Status.OK, jpeg.read_bytes())
        part = me.ask(Operation.GET_PARTIAL_OBJECT, photo, 1000, 5000)
        assert part == (Status.OK, jpeg.read_bytes()[1000:6000])
        beyond = jpeg.stat().st_size - 10
        assert me.ask(Operation.GET_PARTIAL_OBJECT, photo, beyond, 5000)[1] == jpeg.read_bytes()[-10:]
        for stranger in (1, photo + 1, ALL):
            assert me.ask(Operation.GET_OBJECT, stranger)[0] == Status.INVALID_HANDLE


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def test_a_deleted_photo_is_gone_and_folders_stay(body: CopyingBody, server: EosServer, jpeg: Path) -> None:
    fill(body, jpeg)
    with session(server.port) as me:
        folder, _, photo = me.handles(0)
        assert me.ask(Operation.DELETE_OBJECT, photo)[0] == Status.OK
        assert me.ask(Operation.GET_OBJECT_INFO, photo)[0] == Status.INVALID_HANDLE
        assert me.ask(Operation.DELETE_OBJECT, folder)[0] == Status.ACCESS_DENIED
    assert not body.photo(1).exists()


@pytest.mark.parametrize(
    ("code", "value", "status"),
    [
        (ISO, struct.pack("<I", 0x58), Status.OK),
        (ISO, struct.pack("<I", 0x59), Status.INVALID_PROPERTY_VALUE),
        (ISO, b"\x58", Status.INVALID_PROPERTY_VALUE),
        (SERIAL_NUMBER, b"mine\0", Status.ACCESS_DENIED),
        (0xD1FF, struct.pack("<I", 0), Status.PROPERTY_NOT_SUPPORTED),
    ],
)
def test_a_property_takes_its_choices_and_nothing_else(
    server: EosServer, code: int, value: bytes, status: Status
) -> None:
    with session(server.port) as me:
        me.ask(GET_EVENT)
        data = struct.pack("<II", 8 + len(value), code) + value
        assert me.ask(SET_PROPERTY, data=data)[0] == status
        change = struct.pack("<III", 8 + 4 + len(value), 0xC189, code) + value
        assert (change in me.ask(GET_EVENT)[1]) == (status == Status.OK)


def test_a_photo_for_the_host_only_needs_room_there_and_not_on_the_card(body: CopyingBody) -> None:
    server = EosServer(body, faults=Script([ScriptedFault("card_full")]))
    server.start()
    with session(server.port) as me:
        assert room(me.ask(GET_EVENT)[1]) == 0
        me.ask(SET_PROPERTY, data=struct.pack("<III", 12, DESTINATION, HOST))
        assert room(me.ask(GET_EVENT)[1]) is None
        me.ask(HOST_CAPACITY, 3 << 20, 16, 1)
        assert room(me.ask(GET_EVENT)[1]) == 6
        me.ask(SET_PROPERTY, data=struct.pack("<III", 12, DESTINATION, CARD))
        assert room(me.ask(GET_EVENT)[1]) == 0
    server.close()


def room(events: bytes) -> int | None:
    """Return how many more photos the camera says it can take; None where that has not changed."""
    _, told, rest = events.partition(struct.pack("<III", 16, 0xC189, AVAILABLE_SHOTS))
    return int.from_bytes(rest[:4], "little") if told else None


def test_a_button_held_down_releases_once(body: CopyingBody, server: EosServer) -> None:
    with session(server.port) as me:
        for code, buttons in ((RELEASE_ON, 1), (RELEASE_ON, 3), (RELEASE_ON, 3), (RELEASE_OFF, 3)):
            assert me.ask(code, buttons, 0)[0] == Status.OK
        assert len(body.released_ns) == 1
        me.ask(RELEASE_ON, 3, 1)
        assert len(body.released_ns) == 2


def test_an_operation_it_does_not_know_is_refused_and_the_session_goes_on(server: EosServer) -> None:
    with session(server.port) as me:
        assert me.ask(0x9999)[0] == Status.OPERATION_NOT_SUPPORTED
        assert me.ask(0x1111)[0] == Status.OPERATION_NOT_SUPPORTED
        assert me.ask(Operation.GET_STORAGE_INFO, 7)[0] == Status.INVALID_STORAGE
        assert me.ask(Operation.GET_STORAGE_IDS)[0] == Status.OK


def test_a_photo_that_ends_before_its_size_is_not_passed_off_as_whole(body: CopyingBody, server: EosServer) -> None:
    body.photo(1).write_bytes(b"")
    with body.photo(1).open("wb") as growing, session(server.port) as me:
        growing.truncate(200 << 20)  # more than fits into the buffers on the way
        me.request(Operation.GET_OBJECT, me.handles(0)[-1])
        assert read_packet(me.connection)[0] == Packet.START_DATA
        growing.truncate(1000)
        with pytest.raises((ConnectionClosed, ConnectionResetError)):
            while read_packet(me.connection)[0] != Packet.RESPONSE:
                pass


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n", struct.pack("<II", 0xFFFFFFF0, 6), bytes(64)])
def test_strangers_do_not_disturb_it(server: EosServer, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as stranger:
        stranger.sendall(noise)
    with session(server.port) as me:
        assert me.ask(Operation.GET_STORAGE_IDS)[0] == Status.OK


def test_an_initiator_that_dies_in_mid_transfer_leaves_the_camera_free(
    body: CopyingBody, server: EosServer, jpeg: Path
) -> None:
    fill(body, jpeg)
    for _ in range(3):
        with session(server.port) as me:
            me.request(Operation.GET_OBJECT, me.handles(0)[-1])
            assert read_packet(me.connection)[0] == Packet.START_DATA
    with session(server.port) as me:
        assert me.ask(Operation.GET_OBJECT, me.handles(0)[-1]) == (Status.OK, jpeg.read_bytes())


def test_a_second_initiator_is_refused_while_the_first_is_there(server: EosServer) -> None:
    with session(server.port), socket.create_connection(("127.0.0.1", server.port), timeout=10) as second:
        send_packet(second, Packet.INIT_COMMAND, bytes(20))
        assert read_packet(second)[0] == Packet.INIT_FAIL


def test_closing_hangs_up_on_everyone(server: EosServer) -> None:
    with session(server.port) as me:
        server.close()
        with pytest.raises((ConnectionClosed, ConnectionResetError)):
            me.ask(Operation.GET_STORAGE_IDS)
