"""The film: stretches of picture joined packet by packet, with everything else as in the source."""

import io
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import ffmpeg

from clevam.encode import fed
from clevam.errors import UserError
from clevam.files import replacing
from clevam.video import KINDS, file_url, opened

FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}  # ffmpeg's name of each container
FINE = 90_000  # ticks a second at least of the clock by which an mp4's tracks begin; by default it has 1000
_TEXT_SUBTITLES = {"ass", "ssa", "subrip", "srt", "text", "webvtt"}


def join(stretches: Sequence[str], target: str, *, source: str, index: dict) -> None:
    """Write the stretches (encode.encoder), one after the other, with the sound, subtitles, chapters and tags of the
    source, to `target`: .mp4, .mov or .mkv. Nothing is encoded again.

    Frames are shown at the times of the index, to which an mkv is true to the millisecond. Raises UserError if the
    container cannot hold the picture or the sound.
    """
    facts, container = index["stream"], Path(target).suffix[1:]
    orders = [_order(path) for path in stretches]
    if sum(map(len, orders)) != len(index["pts"]):
        raise UserError(f"{Path(stretches[0]).parent} is damaged, delete that folder and run again")
    with replacing(target) as part, av.open(file_url(stretches[0])) as first:
        picture = first.streams.video[0]
        _check(container, picture, source, index)
        form = next(form for form in FORMATS.values() if _holds(form, picture))
        job = _job(part, source, index, container, form, picture.codec_context.name)
        # In fragments, of which each is complete, a file can be read while it is written.
        options = {"movflags": "frag_every_frame+empty_moov+delay_moov"} | _ticks(facts)
        with fed(job, form, f"{container} (encode.container)", **options if form != "matroska" else {}) as pipe:
            stream = pipe.add_stream_from_template(picture, opaque=True)
            for packet in _packets(stretches, orders, index):
                packet.stream = stream
                pipe.mux(packet)


def _order(stretch: str) -> list[int]:
    """Of each packet the number, within the stretch, of the frame that is in it."""
    with av.open(file_url(stretch)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    shown = {time: number for number, time in enumerate(sorted(times))}
    return [shown[time] for time in times]


def _packets(stretches: Sequence[str], orders: Sequence[list[int]], index: dict) -> Iterator[av.Packet]:
    """The packets of all stretches with the times of the film.

    They are decoded at the times that frames are shown, in order, but so much earlier that none is late.
    """
    pts, base = index["pts"], Fraction(*index["stream"]["time_base"])
    delay = max(n - shown for order in orders for n, shown in enumerate(order))
    step = min((b - a for a, b in pairwise(pts)), default=1)
    dts = [*(pts[0] - step * n for n in range(delay, 0, -1)), *pts]
    start = 0
    for path, order in zip(stretches, orders, strict=True):
        with av.open(file_url(path)) as container:
            found = (packet for packet in container.demux(video=0) if packet.size)
            for n, (packet, shown) in enumerate(zip(found, order, strict=True), start):
                packet.time_base, packet.pts, packet.dts = base, pts[start + shown], dts[n]
                yield packet
        start += len(order)


def _job(target: Path, source: str, index: dict, container: str, form: str, codec: str):
    """The ffmpeg job: the picture from the pipe in the format `form`, every other stream from the source, as it is."""
    facts = index["stream"]
    # Rotation is a tag: frames stay as they are stored, and the tag is put back.
    pipe = ffmpeg.input("pipe:0", format=form, display_rotation=facts["rotation"], **facts["hdr"])
    original = ffmpeg.input(file_url(source), format_whitelist=KINDS, **_reading(index))
    subtitles = _subtitles(source, container)
    sounds = [original[f"a:{k}"] for k in _sounds(source, index)]
    no_other = original["a:999?"]  # an input that gives no stream would be left out, and its tags with it
    streams = [pipe["v:0"], *sounds, *(original[f"s:{k}"] for k in subtitles), no_other]
    options = {"c": "copy", "map_metadata": 1, "map_chapters": 1, "loglevel": "warning"}
    options |= {f"c:s:{n}": codec for n, codec in enumerate(subtitles.values())}
    # Codecs that do not say it themselves leave it to the container.
    options |= {"color_range:v": facts["color_range"], "colorspace:v": facts["colorspace"]}
    options |= {"color_primaries:v": facts["primaries"], "color_trc:v": facts["transfer"]}
    if container != "mkv":
        options |= {"movflags": "+faststart"} | _ticks(facts)
        if codec == "hevc":
            options["tag:v"] = "hvc1"  # the name under which Apple's players take it
    # The pipe has but the time from packet to packet, in decoding order, for how long a frame is shown. The last one is
    # shown as long as one is on average, and none beyond.
    last, base = index["pts"][-1], Fraction(*facts["time_base"])
    left = f"({float(last * base + 1 / Fraction(*facts['rate']))}/TB-PTS)"
    is_last = f"gt(PTS*TB\\,{float((last - Fraction(1, 2)) * base)})"
    options["bsf:v"] = f"setts=pts=PTS:dts=DTS:duration=if({is_last}\\,{left}\\,min(DURATION\\,{left}))"
    if index["pts"][0] < 0:  # no container has times before 0
        options["output_ts_offset"] = float(-index["pts"][0] * Fraction(*facts["time_base"]))
    job = ffmpeg.output(*streams, file_url(target), format=FORMATS[container], **options)
    return job.global_args("-copyts", "-nostdin", "-hide_banner")


def _ticks(facts: dict) -> dict[str, str]:
    """The options that give an mp4 the clock of the source, and a finer one, a multiple, by which its tracks begin."""
    ticks = facts["time_base"][1]
    return {"video_track_timescale": str(ticks), "movie_timescale": str(ticks * -(-FINE // ticks))}


def _check(container: str, picture: av.VideoStream, source: str, index: dict) -> None:
    """Raise UserError if the container cannot hold the picture, or the source's sound."""
    with opened(source) as original:
        heard = [original.streams.audio[k] for k in _sounds(source, index)]
        sounds = [(stream, "the sound of the source") for stream in heard if stream.codec_context]
        for stream, what in [(picture, "what encode.codec writes"), *sounds]:
            able = [name for name, form in FORMATS.items() if name == "mkv" or _holds(form, stream)]
            if container not in able:
                codec = stream.codec_context.codec.canonical_name
                raise UserError(f"encode.container: {container} cannot hold {codec}, {what}; take {' or '.join(able)}")


def _holds(form: str, stream: av.stream.Stream) -> bool:
    """Whether a format can hold a stream: what muxers say of themselves is not all, so one is tried."""
    with av.open(io.BytesIO(), "w", format=form) as trial:
        try:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
        except (ValueError, av.FFmpegError):
            return False
        return True


def _sounds(source: str, index: dict) -> list[int]:
    """The numbers of the source's sound tracks that have any; of a damaged file, some are but named."""
    with opened(source, **_reading(index)) as original:
        tracks = [stream.codec_context for stream in original.streams.audio]
    return [k for k, context in enumerate(tracks) if context is None or context.sample_rate]


def _reading(index: dict) -> dict[str, str]:
    """Options for reading the source: of a damaged one, only whole packets."""
    return {"fflags": "+discardcorrupt"} if index["damage"] else {}


def _subtitles(source: str, container: str) -> dict[int, str]:
    """The source's subtitles that the container can hold, {number: codec}; pictures of text go into mkv only."""
    kept = {}
    with opened(source) as original:
        for k, stream in enumerate(original.streams.subtitles):
            name = stream.codec_context.name if stream.codec_context else "unknown"
            if container == "mkv":
                kept[k] = "subrip" if name == "mov_text" else "copy"
            elif name == "mov_text" or name in _TEXT_SUBTITLES:
                kept[k] = "copy" if name == "mov_text" else "mov_text"
            else:
                print(f"subtitles {k} ({name}) are left out: {container} has no place for them", file=sys.stderr)
    return kept
