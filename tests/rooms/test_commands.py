import io
import re
from pathlib import Path

import pytest
from PIL import Image

import linkup_nb as lu
from linkup_nb.errors import InvalidImage, InvalidInvite, InvalidName, InvalidTopic, UnknownCommand, UnknownRoom
from linkup_nb.rooms.commands import COMMANDS, MAX_FOUND, MAX_LISTED, ReplyAction, is_command, run
from linkup_nb.rooms.memory.room import MemoryRoom
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
    assert " ".join(COMMANDS) == (
        "help create invite join leave list clear search export disputed mute block remove admit ping who doctor name"
        " avatar"
    )


async def test_doctor_shows_what_works(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    lines = (await run("~doctor", node, room)).text.splitlines()
    assert lines[0].startswith("- **network**, off: LINKUP&#95;OFFLINE keeps")
    assert "- **topics**, ok: 1 topic joined" in "\n".join(lines)
    assert room.topic.hex() not in "\n".join(lines)


async def test_create_makes_a_room_with_memory_and_gives_its_invite(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    reply = await run("~create physics", node, None)
    assert reply.room is node.rooms[0]
    assert isinstance(reply.room, MemoryRoom)
    assert (reply.room.name, reply.action) == ("physics", ReplyAction.SHOW_ROOM)
    assert reply.text.startswith("You made **physics**. Whoever has this invite can come in and read everything: ")
    assert reply.text.endswith(f"\n\n`{reply.room.invite}`")
    assert reply.room.invite[7:27] not in repr(reply)
    assert (await run("~invite", node, reply.room)).text.endswith(f"`{reply.room.invite}`")


async def test_join_takes_an_invite(make_node: MakeNode) -> None:
    ann, bob = await make_node("ann"), await make_node("bob")
    made = await ann.create_room("physics")
    reply = await run(f"~join {made.invite}", bob, None)
    assert reply.text == "You are in **physics**."
    assert reply.room is bob.rooms[0]
    assert reply.room.topic == made.topic


async def test_mute_block_and_remove_say_what_they_can_do(make_node: MakeNode) -> None:
    ann, bob = await make_node("ann"), await make_node("bob")
    room = await ann.create_room("physics")
    await bob.join(room.invite)
    await until(lambda: len(room.peers) == 1, room)
    [member] = room.peers
    label = f"**bob** ({member.short_key})"
    for line, reply in {
        "~mute bob": f"You have muted {label}, for you only: others still read them. `~mute --off` undoes it.",
        "~mute --off bob": f"You hear {label} again.",
        "~remove bob": f"You have removed {label}: nobody shows what they write from now on, but they",
        f"~remove --off {member.short_key}": f"**{member.short_key}** may take part again.",
        f"~block {member.short_key}": f"You have blocked {label}: nothing of theirs is shown or",
        "~block --off bob": f"You have unblocked {label}.",
    }.items():
        assert (await run(line, ann, room)).text.startswith(reply)
    assert not room.removed
    with pytest.raises(lu.UsageError, match="nobody of this name"):
        await run("~mute cat", ann, room)
    theirs = bob.rooms[0]
    await until(lambda: len(theirs.peers) == 1, theirs)
    with pytest.raises(lu.UsageError, match="Only the founder and the moderators"):
        await run("~remove ann", bob, theirs)


async def test_a_room_for_admitted_writers_by_commands(make_node: MakeNode) -> None:
    ann, bob = await make_node("ann"), await make_node("bob")
    reply = await run("~create --admitted physics", ann, None)
    room = reply.room
    assert isinstance(room, MemoryRoom)
    assert room.writers == (ann.public_key,)
    assert "They write only once the founder or a moderator types `~admit WHO`." in reply.text
    theirs = await bob.join(room.invite)
    assert isinstance(theirs, MemoryRoom)
    await until(lambda: len(room.peers) == 1 and bool(theirs.read_only), room, theirs)
    invite = await run("~invite --role reader", ann, room)
    assert invite.text.startswith(
        "This invite is good until you revoke it. Who comes by it may only read. While it lasts"
    )
    with pytest.raises(lu.UsageError, match="Only the founder and the moderators"):
        await run("~admit ann", bob, theirs)
    assert (await run("~admit bob", ann, room)).text.endswith(" may write here.")
    await until(lambda: not theirs.read_only, theirs)
    with pytest.raises(lu.UsageError, match="can be for admitted writers"):
        await run("~create --linkup --admitted physics", ann, None)


async def test_search_quotes_what_it_finds_harmlessly(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    room = await node.create_room("physics")
    for number in range(MAX_FOUND + 1):
        await room.send(f"the *owl* {number}")
    await room.send("the heron " + "x" * 1000)
    await room.send_file(("owls.txt", b"hoo"))
    lines = (await run("~search owl*", node, room)).text.splitlines()
    assert len(lines) == MAX_FOUND + 1
    assert re.fullmatch(r"- \*\*kestrel\*\*, \d\d \w+ \d{4}, \d\d:\d\d: the &#42;owl&#42; 20", lines[0])
    assert lines[-1] == "- … and older ones: search for more words to find fewer"
    assert len((await run("~search heron", node, room)).text) < 200
    assert (await run("~search nightingale", node, room)).text.startswith("No message has all of these words.")


async def test_without_a_dispute_nothing_is_disputed(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    room = await node.create_room("physics")
    assert (await run("~disputed", node, room)).text == "Nothing in this room is disputed."


async def test_export_writes_what_can_be_checked_and_overwrites_nothing(make_node: MakeNode, tmp_path: Path) -> None:
    node = await make_node("kestrel")
    room = await node.create_room("physics")
    path = tmp_path / "my room.jsonl"
    reply = await run(f"~export {path}", node, room)
    assert reply.text.startswith("2 blocks of **physics** are in ")
    assert lu.verify_export(path)
    with pytest.raises(lu.UsageError, match="already: choose another name"):
        await run(f"~export {path}", node, room)
    for wrong in (tmp_path / "none" / "x", "\x00"):
        with pytest.raises(lu.UsageError, match="cannot be written"):
            await run(f"~export {wrong}", node, room)


async def test_create_linkup_gives_the_topic_to_share(make_node: MakeNode) -> None:
    node = await make_node("kestrel")
    reply = await run("~create --linkup quiet *pond*", node, None)
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
    assert (await run("~list", node, None)).text == "You are in no room. Type `~create NAME`, or `~join INVITE`."


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
        ("~create", lu.UsageError, "~create needs a name: type ~create [--linkup | --admitted] NAME."),
        ("~create --linkup", lu.UsageError, "~create needs a name: type ~create [--linkup | --admitted] NAME."),
        (
            "~create --memory x",
            lu.UsageError,
            "~create has no option --memory: type ~create [--linkup | --admitted] NAME.",
        ),
        ("~invite", lu.UsageError, "This is a room of LinkUp, which forgets: ~create NAME makes one with memory."),
        ("~search owl", lu.UsageError, "This is a room of LinkUp, which forgets"),
        ("~export x", lu.UsageError, "This is a room of LinkUp, which forgets"),
        (
            "~join linkup:abc",
            InvalidInvite,
            "In this invite a letter is wrong or missing",
        ),
        ("~create " + "x" * 65, InvalidName, "shorten it to 64"),
        ("~name \u202e", InvalidName, "at least one visible character"),
        ("~join", lu.UsageError, "~join needs an invite: type ~join INVITE."),
        (
            "~join abc",
            InvalidTopic,
            "A topic is 64 hexadecimal digits, and this has 3 characters: copy",
        ),
        ("~join abc", InvalidTopic, "or its invite, which begins with linkup:."),
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


@pytest.mark.parametrize("line", ["~leave", "~clear", "~ping", "~who", "~invite", "~search x", "~export x"])
async def test_without_a_room_it_says_how_to_get_one(make_node: MakeNode, line: str) -> None:
    with pytest.raises(UnknownRoom, match="type ~create NAME, or ~join INVITE, first"):
        await run(line, await make_node("kestrel"), None)


async def test_answers_are_bounded(make_node: MakeNode) -> None:
    node, room = await lobby(make_node)
    for index in range(MAX_LISTED + 5):
        add_member(room, index.to_bytes(32, "big"), f"name {index}")
    await node.create_room("other", linkup=True)
    lines = (await run("~who", node, room)).text.splitlines()
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "- … and 6 more"
