"""Build a register: gather, verify, render, sign, write."""

from pathlib import Path

from securesystemslib.signer import Signer

from provisioning.register.claims import REGISTER, SIGNATURE, sign
from provisioning.register.gathering import Sources, Wanted, gather
from provisioning.register.made_of import register_of
from provisioning.register.making import listed, render
from provisioning.register.placing import place_register


def build_register(out: Path, sources: Sources, wanted: Wanted, signer: Signer) -> tuple[str, ...]:
    """Make the register in `out` and return the names of its files.

    Args:
        out: The folder; a register that is there is replaced.
        sources: Where everything lies.
        wanted: How it is to be made.
        signer: The key with which the city's backend vouches for the newest policy.

    Raises:
        LamppostError: Something does not add up, cannot be read or written; `out` is as it was.
    """
    ingredients = gather(sources, wanted)
    files = render(register_of(ingredients), ingredients)
    raw, signature = sign(listed(ingredients, files), signer)
    place_register(out, {**files, REGISTER: raw, SIGNATURE: signature})
    return (*files, REGISTER, SIGNATURE)
