import io
import re
from pathlib import Path

import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import InvalidImage, InvalidName, InvalidTopic, UnknownCommand, UnknownRoom
from linkup_nb.rooms.commands import COMMANDS, MAX_LISTED, ReplyAction, is_command, run
from tests.rooms.nodes import MakeNode, add_member, until


async def lobby(make_node: MakeNode) -> tuple[lu.Node, lu.Room]:
    node = await make_node("kestrel")
    return node, await node.create_room("lobby", linkup=True)


@pytest.mark.parametrize("line", ["~help", "~HELP ", "~nonsense", "~create a b", "~über"])
def test_a_tilde_and_a_word_are_a_command(line: str) -> None:
    assert is_command(line)


@pytest.mark.parametrize("line", ["~~gone~~", "~~~\ncode\n~~~", "~5 minutes", "~", " ~help", "a ~help", "", "~/file"])
def test_other_tildes_are_text(line: str) -> None:
    assert not is_command(line)


async def test_help_lists_every_command(make_node: MakeNode) -> None:
    reply = await run("~help", *await lobby(make_node))
    assert re.findall(r"`~(\w+)", reply.text) == list(COMMANDS)
    assert " ".join(COMMANDS) == "help create join leave list clear ping who doctor name avatar"


async def test_doctor_shows_what_works(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    lines = (await run("~doctor", node, room)).text.splitlines()
    assert lines[0].startswith("- **network**, off: LINKUP&#95;OFFLINE keeps")
    assert "- **topics**, ok: 1 topic joined" in "\n".join(lines)
    assert room.topic.hex() not in "\n".join(lines)


async def test_create_gives_the_topic_to_share(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    reply = await run("~create quiet *pond*", node, None)
    assert reply.room is node.rooms[0]
    assert (reply.room.name, reply.action) == ("quiet *pond*", ReplyAction.SHOW_ROOM)
    assert reply.text == f"You made **quiet &#42;pond&#42;**. Others join by its topic:\n\n`{reply.room.topic.hex()}`"


async def test_join_and_leave(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    joined = await run(f"~join  {'ab' * 32} ", node, room)
    assert joined.room is node.rooms[1]
    left = await run("~leave", node, joined.room)
    assert (left.action, left.room, node.rooms) == (ReplyAction.SHOW_ROOM, room, (room,))
    assert (await run("~leave", node, room)).room is None


async def test_list_shows_the_rooms_without_what_others_join_by(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    reply = await run("~list", node, room)
    assert reply.text == f"- **lobby**, topic `{room.topic.hex()[:6]}…`, 0 here"
    await room.leave()
    assert (await run("~list", node, None)).text == "You are in no room. Type `~create NAME`, or `~join TOPIC`."


async def test_clear_empties_the_room(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    await room.send("hi")
    assert (await run("~clear", node, room)).action is ReplyAction.CLEAR
    assert len(room) == 0


async def test_who_and_ping_name_those_here_harmlessly(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    assert (await run("~ping", node, room)).text == "Nobody else is here to ping."
    other = await make_node("otter")
    await other.set_name("<b>[x](javascript:y)")
    theirs = await other.join(room.topic)
    await until(lambda: [member.name for member in room.peers] == [other.name], room)
    shown = f"- **&#60;b&#62;&#91;x&#93;&#40;javascript&#58;y&#41;** ({room.peers[0].short_key}): "
    assert re.fullmatch(re.escape(shown) + r"\d+\.\d+ ms", (await run("~ping", node, room)).text)
    assert (await run("~who", node, room)).text.splitlines()[1] == shown + "here"
    await other.close()
    await until(lambda: room.peers[0].status.value == "away", room)
    assert (await run("~who", node, room)).text.splitlines()[1] == shown + "away"
    assert (await run("~ping", node, room)).text == "Nobody else is here to ping."
    assert len(theirs) == 0


async def test_name_and_avatar_change_the_profile(make_node: MakeNode, tmp_path: Path) -> None:
    node, room = await lobby(make_node)
    assert (await run("~name New  Name", node, room)).text == "You are now **New Name**."
    assert node.profile.name == "New Name"
    assert (await run("~avatar", node, room)).action is ReplyAction.PICK_AVATAR
    picture = tmp_path / "my picture.png"
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    picture.write_bytes(out.getvalue())
    assert (await run(f"~avatar {picture}", node, room)).text == "This is your new avatar."
    assert node.profile.avatar == node.avatar


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("~halp", UnknownCommand, "There is no command ~halp. Did you mean ~help?"),
        ("~xyzzy", UnknownCommand, "Type ~help for those that there are. To send it as a message, start with a space."),
        ("~" + "x" * 1_000_000, UnknownCommand, "There is no command ~" + "x" * 32 + ". Type"),
        ("~create", lu.UsageError, "~create needs a name: type ~create NAME."),
        ("~create " + "x" * 65, InvalidName, "shorten it to 64"),
        ("~name \u202e", InvalidName, "at least one visible character"),
        ("~join", lu.UsageError, "~join needs a topic: type ~join TOPIC."),
        ("~join abc", InvalidTopic, "64 hexadecimal digits"),
        ("~avatar /no/such/picture.png", InvalidImage, "There is no picture"),
        ("~avatar \x00", InvalidImage, "There is no picture"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_done_gets_a_sentence(
    make_node: MakeNode, line: str, error: type[lu.UsageError], says: str
) -> None:
    node, room = await lobby(make_node)
    with pytest.raises(error, match=re.escape(says)):
        await run(line, node, room)
    assert node.rooms == (room,)


@pytest.mark.parametrize("line", ["~leave", "~clear", "~ping", "~who"])
async def test_without_a_room_it_says_how_to_get_one(make_node: MakeNode, line: str) -> None:
    with pytest.raises(UnknownRoom, match="type ~create NAME, or ~join TOPIC, first"):
        await run(line, await make_node("kestrel"), None)


async def test_answers_are_bounded(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    for index in range(MAX_LISTED + 5):
        add_member(room, index.to_bytes(32, "big"), f"name {index}")
    await node.create_room("other", linkup=True)
    lines = (await run("~who", node, room)).text.splitlines()
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "- … and 6 more"
