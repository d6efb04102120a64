"""Every decoder by the name that `python -m tests.fuzz` knows it by."""

from tests.fuzz import datagrams, messages, nodes, rooms
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    "blind_pairing": rooms.BLIND_PAIRING,
    "compact": messages.COMPACT,
    "config": messages.CONFIG,
    "dht_node": nodes.DHT_NODE,
    "dht_rpc": datagrams.DHT_RPC,
    "frames": messages.FRAMES,
    "handshake_payloads": datagrams.HANDSHAKE_PAYLOADS,
    "hypercore": messages.HYPERCORE,
    "hyperdrive": messages.HYPERDRIVE,
    "kademlia": datagrams.KADEMLIA,
    "linkup_json": messages.LINKUP_JSON,
    "mdns": datagrams.MDNS,
    "noise": messages.NOISE,
    "protomux": messages.PROTOMUX,
    "records": datagrams.RECORDS,
    "room_block": rooms.BLOCK,
    "room_export": rooms.EXPORT,
    "room_invite": rooms.INVITE,
    "room_messages": rooms.ROOM_MESSAGES,
    "secret_stream": messages.SECRET_STREAM,
    "udx": datagrams.UDX,
}
