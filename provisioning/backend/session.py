"""The backend's one connection to the broker.

paho's own thread reads the socket and does one thing with a message: it puts it in
a list. The backend's loop takes from that list, and acknowledges to the broker what it
has committed, so that the broker's Receive Maximum is what holds a flood back, and
no message is lost between the socket and the disk.

Publishing while there is no connection does nothing: acknowledgements follow from
what cameras send again, and bundles are published anew for every connection.
"""

import ssl
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.core.messages.wire import KIB
from agent.core.topics import BACKEND_SUBSCRIPTION, DELIVERY, parse_topic
from agent.errors import ConfigurationError, LinkError
from provisioning.backend.ca import BACKEND_NAME
from provisioning.backend.collector import PAYLOADS, Arrived, Outgoing

KEEPALIVE_S = 30
RECEIVE_MAXIMUM = 256  # times the largest payload: 35 MB at worst
IN_FLIGHT = 20  # paho does not read the broker's Receive Maximum; every broker takes this many
SESSION_EXPIRY_S = 300  # a restart loses no reply to a command
RECONNECT_S = (1, 30)
LARGEST_BYTES = max(kind.MAX_BYTES for kind in PAYLOADS.values()) + 4 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """Where the broker is, and what the backend shows it.

    Attributes:
        host: Name or address; the broker's certificate has it.
        port: Of MQTT over TLS.
        root: The fleet's root certificate.
        certificate: The backend's, with its issuer after it.
        key: The backend's key.
    """

    host: str
    port: int
    root: Path
    certificate: Path
    key: Path


class BrokerSession:
    """A connection that comes back by itself, and the messages that wait to be taken.

    Raises:
        ConfigurationError: A certificate or key cannot be used.
    """

    def __init__(self, access: BrokerAccess) -> None:
        self._access = access
        self._waiting: deque[Arrived] = deque()
        self._change = threading.Condition()
        self._connections = 0
        self._connected = False
        self._trouble = "has not connected yet"
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=BACKEND_NAME, protocol=mqtt.MQTTv5, manual_ack=True
        )
        self._client.tls_set_context(_tls(access))
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.reconnect_delay_set(*RECONNECT_S)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = LARGEST_BYTES
        self._client.connect_async(
            self._access.host,
            self._access.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def connections(self) -> int:
        """How often it has connected; a change means that the broker may have forgotten what it was told."""
        return self._connections

    @property
    def connected(self) -> bool:
        """Whether it is connected now."""
        return self._connected

    @property
    def trouble(self) -> str:
        """Why it is not connected, in words; empty while it is."""
        return "" if self._connected else self._trouble

    def take(self, *, up_to: int, wait_for: timedelta) -> list[Arrived]:
        """Return messages in the order they came; wait for the first of them, or a new connection.

        Raises:
            LinkError: The thread that reads the socket has ended.
        """
        thread = self._client._thread  # noqa: SLF001 - it ends in silence when a callback raises; nothing else tells
        if thread is None or not thread.is_alive():
            raise LinkError("the connection's own thread has ended")
        seen = self._connections
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._connections != seen, timeout=wait_for.total_seconds())
            return [self._waiting.popleft() for _ in range(min(up_to, len(self._waiting)))]

    def settle(self, taken: Iterable[Arrived]) -> None:
        """Acknowledge to the broker what is safe."""
        for one in taken:
            connection, number = one.receipt
            # An earlier connection's numbers mean other messages now; the broker sends what was not settled again.
            if number and connection == self._connections:
                self._client.ack(number, 1)

    def publish(self, outgoing: Outgoing) -> bool:
        """Hand one message over; return whether there was a connection to do it with."""
        if not self._connected:
            return False
        delivery = DELIVERY[outgoing.topic.leaf]
        properties = _properties(PacketTypes.PUBLISH)
        expiry_s = outgoing.expiry_s or delivery.expiry_s
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if outgoing.correlation is not None:
            properties.CorrelationData = outgoing.correlation
        self._client.publish(
            str(outgoing.topic), outgoing.payload, qos=1, retain=delivery.retained, properties=properties
        )
        return True

    def announce(self, topic: str, payload: bytes) -> None:
        """Have the broker keep `payload` on a topic that is no camera's; nothing happens without a connection."""
        if self._connected:
            self._client.publish(topic, payload, qos=1, retain=True)

    def _on_connect(
        self, client: mqtt.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refused: {reason}"
            return
        client.subscribe(BACKEND_SUBSCRIPTION, qos=1)
        with self._change:
            self._connected = True
            self._connections += 1
            self._change.notify_all()

    def _on_disconnect(
        self, _client: mqtt.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._trouble = f"disconnected: {reason}"
        self._connected = False

    def _on_message(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.qos == 0:
            return  # no part of the contract, and nothing bounds how many there may be
        topic = parse_topic(message.topic)
        if topic is None:
            client.ack(message.mid, message.qos)
            return
        arrived = Arrived(
            topic=topic,
            payload=bytes(message.payload),
            retained=message.retain,
            receipt=(self._connections, message.mid),
        )
        with self._change:
            self._waiting.append(arrived)
            self._change.notify_all()


def _tls(access: BrokerAccess) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(access.root))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(access.certificate, access.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the backend's certificate or key cannot be used: {_words(error)}") from error
    return context


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call] # paho types all but this


def _words(error: Any) -> str:  # noqa: ANN401 - OSError and SSLError share no attribute types
    return str(error.strerror or error).lower()
