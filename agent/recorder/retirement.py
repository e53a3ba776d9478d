"""The last act of a camera under its name: it goes into the log, and then the name goes."""

from agent.adapters.clock import SystemClock
from agent.adapters.retirement import forget_recorder
from agent.config import Config
from agent.recorder.device_log import open_device_log


def retire(config: Config) -> list[str]:
    """Record that this camera is retired, and forget its name; return what was removed. The recorder must be stopped.

    Args:
        config: With the camera's name in it.

    Raises:
        StorageError: It cannot be logged (the recorder may be running) or removed; the name stays.
    """
    now = SystemClock().now()
    with open_device_log(config.state.folder, config.camera.id, kept_in=config.state.log_key, now=now) as log:
        log.append("retired", now, camera=config.camera.id)
    return forget_recorder(config)
