"""One MQTT 5 connection over TLS 1.3, by way of paho-mqtt.

Of paho we use the protocol and nothing else. Each connection is a client of its own, driven
by the caller's thread (`poll`): there is no network thread that a callback's exception
could end while `is_connected()` stays true, no queue that floods the broker on reconnect
and sends again what it refused, and no reconnecting that we did not decide.

A broker is hostile ground. It is told how large a packet may be (Maximum Packet Size); that
it obeys is checked on the socket, before paho makes room for the rest.
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.core.topics import WILL_DELAY_S
from agent.errors import (
    BrokerUnreachableError,
    BrokerUntrustedError,
    CredentialError,
    LinkError,
    SessionLostError,
    SessionRefusedError,
)
from agent.ports import Answered, Clock, Happening, Outgoing, Received

FAILURE = 0x80  # MQTT 5 2.4: reason codes from here on say no
PACKET_TOO_LARGE = 0x95
_KEEPALIVE_TIMEOUT = 0x8D
SESSION_EXPIRY_S = 120  # a command lives no longer; and longer than the will delay, or the will would go out at once
INCOMING_MAXIMUM = 4  # messages the broker may send unanswered: bounds what is in memory
_PROPERTIES_BYTES = 128  # what properties and framing may add to topic and payload
_RECORD_BYTES = 16 * 1024  # TLS: no more comes at once
_DEFAULT_RECEIVE_MAXIMUM = 65_535  # MQTT 5 3.2.2.3.3
_LARGEST_PACKET = 268_435_460  # MQTT 5 2.1.4

# What TLS says when the other side does not accept us (RFC 8446 6.2), as OpenSSL spells it.
_ALERTS = {
    "CERTIFICATE_REVOKED": "this camera's certificate is revoked",
    "CERTIFICATE_EXPIRED": "this camera's certificate has expired, or the broker's clock is wrong",
    "UNKNOWN_CA": "the broker does not know the authority of this camera's certificate",
    "BAD_CERTIFICATE": "the broker does not accept this camera's certificate",
    "UNSUPPORTED_CERTIFICATE": "the broker does not accept this kind of certificate",
    "CERTIFICATE_UNKNOWN": "the broker does not accept this camera's certificate",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate and got none",
    "ACCESS_DENIED": "the broker does not let this camera's certificate in",
    "DECRYPT_ERROR": "the broker could not verify this camera's certificate",
}
_BAD_TIME = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_SESSION_REFUSALS = {
    0x84: "the broker does not speak MQTT 5",
    0x85: "the broker does not accept this client id: it must be the certificate's common name",
    0x86: "the broker does not accept this user",
    0x87: "the broker does not authorise this camera",
    0x8A: "the broker has banned this camera",
    0x8C: "the broker asks for another way of authentication",
}
_SESSION_ENDS = {
    0x8B: "the broker is shutting down",
    0x8D: "the broker heard nothing for too long",
    0x8E: "another client took over this camera's client id: is a copy of its credential in use?",
    0x93: "the broker says that too many messages were unanswered",
    0x95: "the broker says that a packet was too large",
    0x97: "the broker's quota is used up",
    0x98: "an administrator closed the connection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is, and how it and we prove who we are.

    Attributes:
        host: Name or address; the broker's certificate must say the same.
        port: TCP port.
        authority: PEM file with the fleet's authority: nobody else vouches for a broker.
        credential: PEM file with the device's key and its certificate chain.
        client_id: The camera's id, which is the certificate's common name.
    """

    host: str
    port: int
    authority: Path
    credential: Path
    client_id: str


class _Tls(ssl.SSLSocket):
    """A TLS socket that keeps what went wrong, and refuses packets larger than was agreed."""

    largest_bytes = 0
    failure: OSError | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()  # paho lets go of it without
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        # paho asks for all that is left of a packet: the first time it asks, that is its length.
        if self.largest_bytes and buflen > self.largest_bytes:
            self.failure = OSError(f"the broker sends a packet of {buflen} bytes, agreed were {self.largest_bytes}")
            raise self.failure
        try:
            return super().recv(min(buflen, _RECORD_BYTES), flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = error
            raise

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 - the standard library's signature
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.failure = self._last_words() or error
            raise

    def _last_words(self) -> OSError | None:
        """Return the alert that came before the other side hung up: TLS 1.3 tells only then that it refuses us."""
        try:
            super().recv(1)
        except (ssl.SSLEOFError, ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return None
        except OSError as error:
            return error
        return None


class PahoBroker:
    """The `Broker` over a real network.

    Args:
        address: Where it is.
        clock: For deadlines.
        largest_bytes: The largest packet to accept.
        keepalive: How long nothing may be heard before the broker is asked whether it lives.
        patience: How long connecting may take, each of TCP, TLS, CONNECT and SUBSCRIBE.
    """

    def __init__(
        self,
        address: BrokerAddress,
        clock: Clock,
        *,
        largest_bytes: int,
        keepalive: timedelta = timedelta(seconds=20),
        patience: timedelta = timedelta(seconds=15),
    ) -> None:
        self._address = address
        self._clock = clock
        self._largest_bytes = largest_bytes
        self._keepalive = keepalive
        self._patience = patience

    def connect(self, will: Outgoing, subscriptions: Sequence[str], *, resume: bool) -> "PahoSession":
        """See `ports.Broker`."""
        address = self._address
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=address.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(self._context())
        client.connect_timeout = self._patience.total_seconds()
        client.max_inflight_messages = 0  # ours is the window
        will_properties = _properties(PacketTypes.WILLMESSAGE, will)
        will_properties.WillDelayInterval = WILL_DELAY_S
        client.will_set(will.topic, will.payload, qos=1, retain=will.retained, properties=will_properties)
        asked = _empty(PacketTypes.CONNECT)
        asked.SessionExpiryInterval = SESSION_EXPIRY_S
        asked.ReceiveMaximum = INCOMING_MAXIMUM
        asked.MaximumPacketSize = self._largest_bytes
        session = PahoSession(client, self._clock, self._largest_bytes)
        try:
            client.connect(
                address.host,
                address.port,
                keepalive=max(1, round(self._keepalive.total_seconds())),
                clean_start=not resume,
                properties=asked,
            )
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from error
        except ssl.SSLError as error:
            raise _refused_by_alert(error) or BrokerUntrustedError(
                f"TLS with {self._where} failed: {error.reason}"
            ) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a host that is no name (IDNA)
            raise BrokerUnreachableError(f"cannot reach {self._where}: {_words(error)}") from error
        try:
            session.begin(subscriptions, self._patience)
        except SessionLostError as error:
            session.abort()
            raise BrokerUnreachableError(f"{self._where} does not answer: {error}") from error
        except LinkError:
            session.abort()
            raise
        return session

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks chain and host name
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # the broker is ours: RFC 8446 4.2.1 would let us offer 1.2
        context.sslsocket_class = _Tls
        try:
            context.load_verify_locations(self._address.authority)
        except (OSError, ssl.SSLError) as error:
            raise CredentialError(
                f"cannot read the fleet's authority {self._address.authority}: {_words(error)}"
            ) from error
        try:
            context.load_cert_chain(self._address.credential)
        except (OSError, ssl.SSLError) as error:
            raise CredentialError(
                f"cannot read the device credential {self._address.credential}: {_words(error)}",
                hint="it holds the private key and the certificate chain, as PEM, key first",
            ) from error
        return context

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> BrokerUntrustedError:
        if error.verify_code in _BAD_TIME:
            return BrokerUntrustedError(
                f"{self._where}: {error.verify_message}; here it is {self._clock.now():%Y-%m-%d %H:%M UTC}",
                hint="if that is not the time, this camera's clock is wrong",
            )
        return BrokerUntrustedError(f"{self._where} is not the city's broker: {error.verify_message}")


class PahoSession:
    """One connection. Made by `PahoBroker`."""

    def __init__(self, client: Client, clock: Clock, largest_bytes: int) -> None:
        self._client = client
        self._clock = clock
        self._accept_bytes = largest_bytes
        self._happened: deque[Happening] = deque()
        self._connack: tuple[ReasonCode, Properties | None] | None = None
        self._granted: list[ReasonCode] | None = None
        self._end = ""
        self._tls: _Tls | None = None
        self._closed = False
        self._unsent = 0
        self.resumed = False
        self.receive_maximum = _DEFAULT_RECEIVE_MAXIMUM
        self.largest_bytes = _LARGEST_PACKET
        client.on_socket_open = self._on_socket
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    # Callbacks run inside `poll`, on its thread. They only keep what they were told.

    def _on_socket(self, _client: Client, _userdata: object, sock: Any) -> None:  # noqa: ANN401 - paho's union of sockets
        if isinstance(sock, _Tls):
            self._tls = sock
            sock.largest_bytes = self._accept_bytes
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a command's reply need not wait for an ACK

    def _on_connect(
        self, _client: Client, _userdata: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self.resumed = flags.session_present
        self._connack = (reason, properties)

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._granted = reasons

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # is none of ours
        correlation = getattr(message.properties, "CorrelationData", b"")
        self._happened.append(
            Received(topic=topic, payload=bytes(message.payload), retained=message.retain, correlation=correlation)
        )

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._happened.append(Answered(token=mid, reason=reason.value, words=str(reason)))

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end = _SESSION_ENDS.get(reason.value, f"the broker ended it: {str(reason).lower()}")
        elif reason.value == _KEEPALIVE_TIMEOUT:  # paho's own word for a PINGREQ without an answer
            self._end = "the broker does not answer any more: a connection that is open on this side only"

    def begin(self, subscriptions: Sequence[str], patience: timedelta) -> None:
        """Wait for CONNACK, subscribe, wait for SUBACK.

        Raises:
            LinkError: The broker refuses, or does not answer within `patience` each.
        """
        self._wait(lambda: self._connack is not None, "CONNACK", patience)
        assert self._connack is not None  # noqa: S101 - what was waited for
        reason, properties = self._connack
        if reason.value >= FAILURE:
            words = _SESSION_REFUSALS.get(reason.value)
            if words is None:  # busy, unavailable, quota: may pass
                raise SessionLostError(f"the broker says {str(reason).lower()}")
            raise SessionRefusedError(words)
        self.receive_maximum = getattr(properties, "ReceiveMaximum", _DEFAULT_RECEIVE_MAXIMUM)
        self.largest_bytes = getattr(properties, "MaximumPacketSize", _LARGEST_PACKET)
        # Retained messages only with a new subscription: a bundle of 2 MiB need not come again at each reconnect.
        options = SubscribeOptions(
            qos=1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        self._check(self._client.subscribe([(name, options) for name in subscriptions])[0])
        self._wait(lambda: self._granted is not None, "SUBACK", patience)
        assert self._granted is not None  # noqa: S101 - likewise
        for name, granted in zip(subscriptions, self._granted, strict=True):
            if granted.value >= FAILURE:
                raise SessionRefusedError(f"the broker does not let this camera read {name}: {str(granted).lower()}")

    def publish(self, message: Outgoing) -> int:
        """See `ports.BrokerSession`."""
        size_bytes = len(message.topic) + len(message.payload) + len(message.correlation) + _PROPERTIES_BYTES
        if size_bytes > self.largest_bytes:
            self._unsent -= 1  # no packet has such an id
            token = self._unsent
            self._happened.append(Answered(token=token, reason=PACKET_TOO_LARGE, words="larger than the broker takes"))
            return token
        info = self._client.publish(
            message.topic,
            message.payload,
            qos=1,
            retain=message.retained,
            properties=_properties(PacketTypes.PUBLISH, message),
        )
        self._check(info.rc)
        return info.mid

    def poll(self, timeout: timedelta) -> Sequence[Happening]:
        """See `ports.BrokerSession`."""
        if not self._happened:
            code = self._client.loop(timeout.total_seconds())
            if not self._happened:  # else: first what came, the end at the next call
                self._check(code)
        happened = tuple(self._happened)
        self._happened.clear()
        return happened

    def close(self) -> None:
        """See `ports.BrokerSession`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError, ValueError):  # it may be over already
            self._client.disconnect()
            self._client.loop(0)
        self.abort()

    def abort(self) -> None:
        """Close the socket without a word."""
        self._closed = True
        if self._tls is not None:
            with contextlib.suppress(OSError):  # the line is given up; how it ends changes nothing
                self._tls.close()

    def _wait(self, arrived: Callable[[], bool], what: str, patience: timedelta) -> None:
        deadline_us = self._clock.monotonic_us() + patience // timedelta(microseconds=1)
        while not arrived():
            code = self._client.loop(0.2)
            if arrived():  # a CONNACK that says no is an error to paho as well, but with a reason
                return
            self._check(code)
            if self._clock.monotonic_us() > deadline_us:
                raise SessionLostError(f"no {what} within {patience.seconds} s")

    def _check(self, code: MQTTErrorCode) -> None:
        if code in {MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN} and not self._end:
            return
        failure = self._tls.failure if self._tls is not None else None
        if isinstance(failure, ssl.SSLError) and (refused := _refused_by_alert(failure)) is not None:
            raise refused
        if self._end:
            raise SessionLostError(self._end)
        if failure is not None:
            raise SessionLostError(_words(failure))
        if code is MQTTErrorCode.MQTT_ERR_PROTOCOL:
            raise SessionLostError("the broker sent something that is no MQTT 5")
        raise SessionLostError("the connection was closed")


def _properties(kind: int, message: Outgoing) -> Properties:
    properties = _empty(kind)
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation:
        properties.CorrelationData = message.correlation
    return properties


def _empty(kind: int) -> Properties:
    return Properties(kind)  # type: ignore[no-untyped-call]  # paho types it no further


def _refused_by_alert(error: ssl.SSLError) -> CredentialError | None:
    reason = error.reason or ""
    for alert, words in _ALERTS.items():
        if reason.endswith(f"ALERT_{alert}"):
            return CredentialError(words)
    return None


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
