"""A street that exists only as code: scenery, people, vehicles, and the truth about every pixel of them."""
