"""What the camera and the backend say to each other: one model for each payload of the MQTT contract."""
