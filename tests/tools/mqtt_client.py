"""A plain MQTT client that waits for what it is told to wait for."""

import threading
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt

from tests.tools.mosquitto import WAIT_S, FleetBroker


class Client:
    """One MQTT client, watched."""

    def __init__(self, broker: FleetBroker, chain: Path, key: Path, *, client_id: str = "") -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._change = threading.Condition()
        self._settled: dict[int, bool] = {}
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv5)
        self._client.tls_set_context(broker.tls(chain, key))
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self._settle(mid, accepted=not reason.is_failure)
        self._client.on_subscribe = lambda _c, _u, mid, _r, _p: self._settle(mid, accepted=True)
        self._client.on_connect = lambda _c, _u, _f, reason, _p: self._settle(
            -2 if reason.is_failure else -1, accepted=True
        )
        self._client.on_disconnect = lambda *_: self._settle(-2, accepted=True)
        self._client.connect("localhost", broker.port)
        self._client.loop_start()

    def connected(self) -> bool:
        """Whether the broker let it in, once that is known."""
        with self._change:
            assert self._change.wait_for(lambda: self._settled.keys() & {-1, -2}, WAIT_S)
        return -1 in self._settled

    def publish(self, to: str, payload: bytes, *, retain: bool = False) -> bool:
        """Whether the broker took it."""
        return self._done(self._client.publish(to, payload, qos=1, retain=retain).mid)

    def subscribe(self, pattern: str) -> None:
        mid = self._client.subscribe(pattern, qos=1)[1]
        assert mid is not None
        self._done(mid)

    def wait_for(self, payload: bytes) -> None:
        self.wait_until(lambda: any(heard == payload for _, heard in self.heard))

    def wait_until(self, there: Callable[[], bool]) -> None:
        with self._change:
            assert self._change.wait_for(there, WAIT_S), self.heard

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._sock_close()  # the thread may have ended before it came to that

    def _done(self, mid: int) -> bool:
        with self._change:
            assert self._change.wait_for(lambda: mid in self._settled, WAIT_S)
            return self._settled[mid]

    def _settle(self, mid: int, *, accepted: bool) -> None:
        with self._change:
            self._settled[mid] = accepted
            self._change.notify_all()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        with self._change:
            self.heard.append((message.topic, message.payload))
            self._change.notify_all()


def is_refused(broker: FleetBroker, chain: Path, key: Path, *, client_id: str = "") -> bool:
    """Return whether the broker does not let a client with this credential in."""
    client = Client(broker, chain, key, client_id=client_id)
    connected = client.connected()
    client.close()
    return not connected
