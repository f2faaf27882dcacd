"""Images are decoded as they are shown, or refused by name; labels are read as they are stored, or refused."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from trainer.data.files.folder import Folder
from trainer.data.reading import decode
from trainer.data.reading.cache import DecodedCache
from trainer.data.reading.decode import IMAGE_MODES, decode_image, decoder_version, raw_colours, raw_label
from trainer.errors import DataError
from trainer.testing.dataset import error_of
from trainer.testing.look_alikes import LOOK_ALIKES

# Rows and columns of a 2 x 3 image as it is shown, and as each EXIF orientation stores it (EXIF 2.32, tag 0x0112).
SHOWN = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
STORED = {
    1: SHOWN,
    2: SHOWN[:, ::-1],
    3: SHOWN[::-1, ::-1],
    4: SHOWN[::-1],
    5: SHOWN.T,
    6: SHOWN.T[::-1],
    7: SHOWN.T[::-1, ::-1],
    8: SHOWN.T[:, ::-1],
}


def save(path, pixels, *, orientation=None, **options):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    image.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_decoded_as_it_is_shown(tmp_path, orientation, ending):
    """Each orientation, in the size of JPEG's blocks, so that its compression changes no pixel."""
    stored = np.kron(STORED[orientation], np.ones((16, 16), dtype=np.uint8))
    options = {"quality": 100} if ending == "jpg" else {}
    found = decode_image(save(tmp_path / f"a.{ending}", stored, orientation=orientation, **options))
    assert (found.orientation, found.image_HW3.shape) == (orientation, (32, 48, 3))
    np.testing.assert_allclose(found.image_HW3[8::16, 8::16, 0], SHOWN, atol=1)


@pytest.mark.parametrize("orientation", [0, 9, 200])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation):
    found = decode_image(save(tmp_path / "a.png", SHOWN, orientation=orientation))
    np.testing.assert_array_equal(found.image_HW3[..., 1], SHOWN)


def deep_png(colour_type, channels):
    """A PNG of 16 bits per channel; Pillow writes only grey ones."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + struct.pack(f">{3 * channels}H", *([4095] * 3 * channels)) for _ in range(2))
    header = struct.pack(">IIBBBBB", 3, 2, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_images_of_16_bits_are_refused_by_name(tmp_path, colour_type, channels):
    """Grey ones became one white area: Pillow cuts at 255. In colour Pillow drops the lower half of the bits."""
    path = tmp_path / "deep.png"
    path.write_bytes(deep_png(colour_type, channels))
    message = error_of(lambda: decode_image(path))
    assert message.startswith(f"{path}: mode ")
    assert "16" in message
    assert "more than 8 bits per channel; save images as RGB or grey with 8 bits per channel" in message


@pytest.mark.parametrize("mode", ["F", "I", "LAB", "YCbCr", "HSV"])
def test_every_other_mode_is_refused_by_name(tmp_path, mode):
    """Pillow goes by the content of a file, not by its ending."""
    stored = BytesIO()
    source = Image.new("RGB", (3, 2)) if mode not in "FI" else Image.new("L", (3, 2))
    try:
        source.convert(mode).save(stored, "TIFF")
    except (OSError, ValueError, KeyError):
        pytest.skip("Pillow writes no such file")
    path = tmp_path / "a.png"
    path.write_bytes(stored.getvalue())
    with Image.open(path) as image:
        opened = image.mode
    if opened in IMAGE_MODES:
        pytest.skip("Pillow reads it as another mode")
    assert f"{path}: mode {opened}" in error_of(lambda: decode_image(path))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_accepted_modes_show_the_same_picture(tmp_path, mode):
    picture = Image.fromarray(np.where(SHOWN > 30, 255, 0).astype(np.uint8))
    found = decode_image(save(tmp_path / "a.png", picture.convert("RGBA" if mode == "RGBA" else mode)))
    assert found.mode == mode
    np.testing.assert_array_equal(found.image_HW3, np.repeat(np.where(SHOWN > 30, 255, 0)[..., None], 3, axis=2))


def test_transparent_pixels_are_refused(tmp_path):
    picture = np.full((2, 3, 4), 255, dtype=np.uint8)
    assert decode_image(save(tmp_path / "opaque.png", picture)).mode == "RGBA"
    picture[1, 1, 3] = 254
    assert "mode RGBA with transparent pixels" in error_of(lambda: decode_image(save(tmp_path / "a.png", picture)))
    palette = Image.fromarray(SHOWN).convert("P")
    path = tmp_path / "palette.png"
    palette.save(path, transparency=int(np.asarray(palette)[0, 0]))
    assert "mode P with transparent pixels" in error_of(lambda: decode_image(path))


@pytest.mark.parametrize("read", [raw_label, raw_colours])
def test_labels_are_neither_turned_nor_compressed(tmp_path, read):
    path = save(tmp_path / "a.png", SHOWN, orientation=6)
    assert error_of(lambda: read(path)).startswith(f"{path}: EXIF orientation 6; save labels upright")
    lossy = save(tmp_path / "b.png", SHOWN, format="JPEG")
    assert error_of(lambda: read(lossy)).startswith(f"{lossy}: JPEG, which changes ids")


@pytest.mark.parametrize("bits", [2, 4])
def test_labels_of_fewer_bits_are_refused(tmp_path, bits):
    """Pillow scales grey to 0..255: the largest id would be void in silence."""
    path = tmp_path / "a.png"
    Image.fromarray(np.full((2, 4), 2**bits - 1, dtype=np.uint8)).save(path, bits=bits)
    content = bytearray(path.read_bytes())
    if content[24] != bits or content[25] != 0:
        content = grey_png(bits)
        path.write_bytes(content)
    with Image.open(path) as image:
        assert (image.mode, int(np.asarray(image).max())) == ("L", 255)
    assert error_of(lambda: raw_label(path)).startswith(f"{path}: mode L;{bits}; save labels as single-channel 8-bit")


def grey_png(bits):
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def test_a_label_that_fits_only_the_stored_image_is_named(tmp_path):
    """The label was drawn without regard to the orientation: it belongs to other pixels."""
    tree = LOOK_ALIKES["folder"](tmp_path / "set")
    with Image.open(tree.image) as image:
        stored = np.asarray(image.convert("RGB"))
    save(tree.image, stored, orientation=6)
    source = Folder(tree.root, cache=DecodedCache(None, 0))
    with pytest.raises(DataError) as caught:
        source.read("train", 0)
    assert "when it is turned as its EXIF orientation 6 says; turn the label as well, or remove" in str(caught.value)
    Image.fromarray(np.ascontiguousarray(np.rot90(tree.label_HW, -1)).astype(np.uint8)).save(tree.label)
    image_HW3, label_HW = source.read("train", 0)
    assert image_HW3.shape[:2] == label_HW.shape
    np.testing.assert_array_equal(label_HW, np.rot90(tree.label_HW, -1))


def test_the_decoder_is_part_of_the_digest(tmp_path, monkeypatch):
    """Another version of libjpeg may give other pixels; PNG files have one meaning."""
    tree = LOOK_ALIKES["camvid"](tmp_path / "jpeg")
    segnet = LOOK_ALIKES["camvid_segnet"](tmp_path / "png")
    jpeg, png = (lambda: tree_source(tree)), (lambda: tree_source(segnet))
    before = [(source().digest(), source().signature()) for source in (jpeg, png)]
    monkeypatch.setattr(decode, "jpeg_library", lambda: "turbo 9.9")
    decoder_version.cache_clear()
    other = [(source().digest(), source().signature()) for source in (jpeg, png)]
    assert before[0][0] != other[0][0]
    assert before[0][1] != other[0][1]
    assert before[1] == other[1]
    monkeypatch.setattr(decode, "DECODER_VERSION", 99)
    decoder_version.cache_clear()
    assert all(source().digest() != earlier for source, (earlier, _) in zip((jpeg, png), other, strict=True))
    decoder_version.cache_clear()


def tree_source(tree):
    from trainer.data.files.camvid import CamVid

    return CamVid(tree.root, cache=DecodedCache(None, 0))


THREADS = """
import gc, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from trainer.data.reading.decode import raw_array

class Cycle:  # code that runs wherever garbage is collected, so that another thread has its turn there
    def __init__(self):
        self.itself = self

    def __del__(self):
        for _ in range(50):
            pass

def read(_):
    Cycle(), Cycle()
    return raw_array(Path(sys.argv[1])).shape

sys.setswitchinterval(1e-6)
gc.set_threshold(20, 2, 2)
with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(read, range(2000))) == {(2, 3)}
"""


def test_threads_read_arrays_at_a_time(tmp_path):
    np.save(tmp_path / "label.npy", SHOWN)
    subprocess.run([sys.executable, "-c", THREADS, tmp_path / "label.npy"], check=True, timeout=120)
