"""Every decoder by the name that `python -m tests.fuzz` knows it by."""

from tests.fuzz import datagrams, machines, messages, nodes, rooms
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    "blind_pairing": rooms.BLIND_PAIRING,
    "blind_peer": rooms.BLIND_PEER,
    "compact": messages.COMPACT,
    "config": messages.CONFIG,
    "dht_node": nodes.DHT_NODE,
    "dht_search": machines.DHT_SEARCH,
    "dht_store": machines.DHT_STORE,
    "dht_rpc": datagrams.DHT_RPC,
    "frames": messages.FRAMES,
    "handshake_payloads": datagrams.HANDSHAKE_PAYLOADS,
    "hypercore": messages.HYPERCORE,
    "hyperdrive": messages.HYPERDRIVE,
    "kademlia": datagrams.KADEMLIA,
    "links": machines.LINKS,
    "linkup_json": messages.LINKUP_JSON,
    "markup": machines.MARKUP,
    "mdns": datagrams.MDNS,
    "noise": messages.NOISE,
    "pairing": machines.PAIRING,
    "pictures": machines.PICTURES,
    "proofs": machines.PROOFS,
    "protomux": messages.PROTOMUX,
    "records": datagrams.RECORDS,
    "room_block": rooms.BLOCK,
    "room_export": rooms.EXPORT,
    "room_invite": rooms.INVITE,
    "room_messages": rooms.ROOM_MESSAGES,
    "secret_stream": messages.SECRET_STREAM,
    "tables": machines.TABLES,
    "udx": datagrams.UDX,
}
