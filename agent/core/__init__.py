"""Pure: values in, values out. Nothing here opens a file, a socket, a device or a clock."""
