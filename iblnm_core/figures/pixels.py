"""Pictures as pixels: narrower, and in few colours. Which sizes and how many colours is for the caller to say."""

import io
from typing import Any


def narrowed(content: bytes, widest: int) -> Any:
    """Return the picture of a PNG file, no wider than asked for.

    Parameters
    ----------
    content : bytes
    widest : int
        Pixels.
    """
    from PIL import Image

    image = Image.open(io.BytesIO(content)).convert("RGB")
    if image.width <= widest:
        return image
    size = widest, max(round(image.height * widest / image.width), 1)
    return image.resize(size, Image.Resampling.LANCZOS)


def few_colours(image: Any, n_colours: int) -> bytes:
    """Return pixels as PNG with a palette, in which greys and colours of small areas survive.

    Parameters
    ----------
    image : PIL.Image.Image
    n_colours : int
    """
    from PIL import Image

    buffer = io.BytesIO()
    image.convert("RGB").quantize(n_colours, Image.Quantize.FASTOCTREE).save(buffer, format="png")
    return buffer.getvalue()
