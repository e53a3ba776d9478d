"""Read QR codes in a picture.

ZXing's C++ port reads hostile pictures here, which is why only the recorder calls it:
whoever breaks it is in a process that has no network and, on a camera that is not
enrolled, no key and no footage. One kind of code is looked for, so that the readers
of twenty others are not reachable.
"""

import zxingcpp

from agent.core.video import Plane

_QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])


def read_codes(y: Plane) -> tuple[bytes, ...]:
    """Return what the QR codes in a picture hold, byte for byte.

    Args:
        y: Luma, (height, width) uint8; only read.
    """
    found = zxingcpp.read_barcodes(y, formats=_QR, try_invert=False)
    return tuple(bytes(code.bytes) for code in found)
